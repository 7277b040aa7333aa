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
 * Replaces the rows of a list from `index` on by a page that was fetched again.
 *
 * The page replaces everything between its first and its last row. Known rows after its last row stay if the list had
 * that row; otherwise more rows were added than a page holds, and the list continues after the page.
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
