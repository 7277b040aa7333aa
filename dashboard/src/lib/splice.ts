/** A row of a list with its place in it. */
export interface Edge<Row extends { id: string }> {
  cursor: string;
  node: Row;
}

export interface Page<Row extends { id: string }> {
  edges: Edge<Row>[];
  hasNextPage: boolean;
}

/**
 * A list in which what stands from `index` on was asked for again.
 *
 * The page is right about all between its first row and its last. What was known beyond its last row stays, if that
 * row was known; otherwise more came in than a page holds, and the list goes on from the page's end.
 */
export function splice<Row extends { id: string }>(known: Page<Row>, index: number, page: Page<Row>): Page<Row> {
  const before = known.edges.slice(0, index);
  const last = page.edges.at(-1);
  const place = last && page.hasNextPage ? known.edges.findIndex((edge) => edge.node.id === last.node.id) : -1;
  const fresh = new Set(page.edges.map((edge) => edge.node.id));
  const kept = before.filter((edge) => !fresh.has(edge.node.id));
  if (place < 0) return { edges: [...kept, ...page.edges], hasNextPage: page.hasNextPage };
  const beyond = known.edges.slice(place + 1).filter((edge) => !fresh.has(edge.node.id));
  return { edges: [...kept, ...page.edges, ...beyond], hasNextPage: known.hasNextPage };
}
