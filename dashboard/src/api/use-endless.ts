import { useCallback, useEffect, useReducer, useRef } from "react";
import { type AnyVariables, type TypedDocumentNode, useClient } from "urql";
import { type Page, splice } from "../lib/splice";
import { wordsOf } from "./client";
import type { EventLine } from "./event";
import { useStale } from "./use-live";

const PAGE_ROWS = 50;

interface Endless<Row extends { id: string }> {
  rows: Row[];
  hasMore: boolean;
  isLoading: boolean;
  error: string | null;
  loadMore: () => void;
}

export interface Connection<Row> {
  edges: { cursor: string; node: Row }[];
  pageInfo: { hasNextPage: boolean };
}

interface Options<Data, Row extends { id: string }> {
  query: TypedDocumentNode<Data, never>;
  variables: Record<string, unknown>;
  connection: (data: Data) => Connection<Row>;
  concerns: (event: EventLine) => boolean;
  /** Whose change makes a row old. */
  idIn: (event: EventLine) => string | undefined;
}

interface State<Row extends { id: string }> {
  of: string;
  page: Page<Row>;
  isLoading: boolean;
  error: string | null;
}

/** A list without an end, newest first: loads on by cursor, and asks again for what changed where it stands. */
export function useEndless<Data, Row extends { id: string }>(options: Options<Data, Row>): Endless<Row> {
  const client = useClient();
  const of = JSON.stringify(options.variables);
  const state = useRef<State<Row>>(empty(of));
  const [, render] = useReducer((count: number) => count + 1, 0);
  const latest = useRef(options);
  latest.current = options;

  const ask = useCallback(
    async (index: number) => {
      const asked = state.current;
      const { query, variables, connection } = latest.current;
      const after = index > 0 ? (asked.page.edges[index - 1]?.cursor ?? null) : null;
      const result = await client
        .query(
          query as TypedDocumentNode<Data, AnyVariables>,
          { ...variables, first: PAGE_ROWS, after },
          {
            requestPolicy: "network-only",
          },
        )
        .toPromise();
      if (state.current.of !== asked.of) return; // another list is shown by now
      const error = result.error ? wordsOf(result.error) : null;
      const found = result.data ? connection(result.data) : null;
      const page = found
        ? splice(state.current.page, index, { edges: found.edges, hasNextPage: found.pageInfo.hasNextPage })
        : state.current.page;
      state.current = { of: asked.of, page, isLoading: false, error };
      render();
    },
    [client],
  );

  if (state.current.of !== of) state.current = empty(of);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another list begins from its head
  useEffect(() => void ask(0), [ask, of]);

  useStale(options.concerns, (events) => {
    const touched = new Set(events.map(latest.current.idIn));
    const pages = new Set([0]);
    state.current.page.edges.forEach((edge, place) => {
      if (touched.has(edge.node.id)) pages.add(place - (place % PAGE_ROWS));
    });
    for (const index of pages) void ask(index);
  });

  const loadMore = useCallback(() => {
    const { page, isLoading } = state.current;
    if (isLoading || !page.hasNextPage) return;
    state.current = { ...state.current, isLoading: true };
    void ask(page.edges.length);
  }, [ask]);

  const { page, isLoading, error } = state.current;
  return { rows: page.edges.map((edge) => edge.node), hasMore: page.hasNextPage, isLoading, error, loadMore };
}

function empty<Row extends { id: string }>(of: string): State<Row> {
  return { of, page: { edges: [], hasNextPage: false }, isLoading: true, error: null };
}
