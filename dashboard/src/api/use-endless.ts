import { useCallback, useEffect, useMemo, useReducer, useRef } from "react";
import { type AnyVariables, type TypedDocumentNode, useClient } from "urql";
import { type Page, splice } from "../lib/splice";
import { isTemporary, wordsOf } from "./client";
import type { EventLine } from "./event";
import { useRetry, useStale } from "./use-live";

const PAGE_ROWS = 50;

/** How many known rows are fetched along with new ones: the answer is joined to the list at the last of them. */
const JOIN_ROWS = 5;

/** The first page of a list; every other page is fetched after the cursor of the row before it. */
const HEAD = null;
type Place = string | typeof HEAD;

export interface Endless<Row extends { id: string }> {
  rows: Row[];
  hasMore: boolean;
  isLoading: boolean;
  /** Whether the server has answered at least once. */
  isAnswered: boolean;
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
  /** The id of the row that an event makes out of date. */
  idIn: (event: EventLine) => string | undefined;
  /** Whether the newest rows come first; in other orders new rows may be anywhere, and changed rows may move. */
  isNewestFirst?: boolean;
}

interface State<Row extends { id: string }> {
  of: string;
  page: Page<Row>;
  isAnswered: boolean;
  failure: { isTemporary: boolean; message: string } | undefined;
}

/** An endless list: loads more by cursor, and fetches the pages of changed rows again. */
export function useEndless<Data, Row extends { id: string }>(options: Options<Data, Row>): Endless<Row> {
  const client = useClient();
  const of = JSON.stringify(options.variables);
  const state = useRef<State<Row>>(empty(of));
  const wanted = useRef(new Map<Place, number>());
  const isAsking = useRef(false);
  const [, render] = useReducer((count: number) => count + 1, 0);
  const latest = useRef(options);
  latest.current = options;
  if (state.current.of !== of) {
    state.current = empty(of);
    wanted.current = new Map();
  }

  const askFor = useCallback(
    async (after: Place, count: number) => {
      const { of } = state.current;
      const { query, variables, connection } = latest.current;
      const result = await client
        .query(
          query as TypedDocumentNode<Data, AnyVariables>,
          { ...variables, first: count, after },
          { requestPolicy: "network-only" },
        )
        .toPromise();
      if (state.current.of !== of) return; // another list is shown meanwhile
      const found = result.data ? connection(result.data) : null;
      const { page, isAnswered } = state.current;
      const place = placeAfter(page, after); // rows may have been added or removed meanwhile
      const isJoined = count === PAGE_ROWS || !found || joins(page, found);
      if (found && (place === undefined || !isJoined)) wanted.current.set(HEAD, PAGE_ROWS);
      const isMoved = found !== null && place === undefined && !(latest.current.isNewestFirst ?? true);
      const joined =
        found && place !== undefined && isJoined
          ? splice(page, place, { edges: found.edges, hasNextPage: found.pageInfo.hasNextPage })
          : page;
      state.current = {
        of,
        // The rows after one that has moved are no longer known: they are fetched again when the user scrolls there.
        page: isMoved ? { edges: joined.edges.slice(0, PAGE_ROWS), hasNextPage: true } : joined,
        isAnswered: isAnswered || found !== null,
        failure: result.error && { isTemporary: isTemporary(result.error), message: wordsOf(result.error) },
      };
    },
    [client],
  );

  /** Sends one query at a time: an answer under way when an event comes may be from before it. */
  const work = useCallback(async () => {
    if (isAsking.current) return;
    isAsking.current = true;
    for (let next = first(wanted.current); next !== undefined; next = first(wanted.current)) {
      const [place, count] = next;
      wanted.current.delete(place);
      await askFor(place, count);
      render();
    }
    isAsking.current = false;
    render();
  }, [askFor]);

  const ask = useCallback(
    (...places: [Place, number][]) => {
      for (const [place, count] of places) {
        wanted.current.set(place, Math.max(count, wanted.current.get(place) ?? 0));
      }
      void work();
    },
    [work],
  );

  // biome-ignore lint/correctness/useExhaustiveDependencies: another list begins with its first page
  useEffect(() => ask([HEAD, PAGE_ROWS]), [ask, of]);

  useStale(options.concerns, (events) => {
    const { edges } = state.current.page;
    const places = new Map(edges.map(({ node }, place) => [node.id, place]));
    const old = new Set<Place>();
    for (const event of events) {
      const place = places.get(latest.current.idIn(event) ?? "");
      const { isNewestFirst = true } = latest.current;
      if (place !== undefined && isNewestFirst) old.add(pageOf(edges, place));
      else if (!(isNewestFirst && NEW.test(event.type)))
        for (let each = 0; each < edges.length; each += PAGE_ROWS) old.add(pageOf(edges, each));
    }
    const whole = [...old].map((place): [Place, number] => [place, PAGE_ROWS]);
    ask([HEAD, Math.min(events.length + JOIN_ROWS, PAGE_ROWS)], ...whole);
  });

  const { page, isAnswered, failure } = state.current;
  const refresh = useCallback(() => ask([HEAD, PAGE_ROWS]), [ask]);
  useRetry(failure?.isTemporary && !isAsking.current ? failure : undefined, refresh);

  const loadMore = useCallback(() => {
    const { page } = state.current;
    const last = page.edges.at(-1);
    if (page.hasNextPage && last) ask([last.cursor, PAGE_ROWS]);
  }, [ask]);

  const rows = useMemo(() => page.edges.map((edge) => edge.node), [page]);
  return {
    rows,
    hasMore: page.hasNextPage,
    isLoading: isAsking.current || !isAnswered,
    isAnswered,
    error: failure?.message ?? null,
    loadMore,
  };
}

/** Events of new rows, which come first. A row of any other event that isn't known may be anywhere. */
const NEW = /_CREATED$|_RECEIVED$/;

const first = <Key, Value>(items: Map<Key, Value>): [Key, Value] | undefined => items.entries().next().value;

/** Whether an answer reaches a known row, so that no row between them is missing. */
function joins<Row extends { id: string }>(page: Page<Row>, found: Connection<Row>): boolean {
  const last = found.edges.at(-1);
  return !found.pageInfo.hasNextPage || page.edges.some(({ node }) => node.id === last?.node.id);
}

/** The place at which the page with this row begins. */
const pageOf = (edges: { cursor: string }[], place: number): Place =>
  edges[place - (place % PAGE_ROWS) - 1]?.cursor ?? HEAD;

/** The place after the row with this cursor; undefined if that row is gone. */
function placeAfter<Row extends { id: string }>(page: Page<Row>, after: Place): number | undefined {
  if (after === HEAD) return 0;
  const before = page.edges.findIndex(({ cursor }) => cursor === after);
  return before < 0 ? undefined : before + 1;
}

function empty<Row extends { id: string }>(of: string): State<Row> {
  return { of, page: { edges: [], hasNextPage: false }, isAnswered: false, failure: undefined };
}
