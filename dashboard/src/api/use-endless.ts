import { useCallback, useEffect, useMemo, useReducer, useRef } from "react";
import { type AnyVariables, type TypedDocumentNode, useClient } from "urql";
import { type Page, splice } from "../lib/splice";
import { isTemporary, wordsOf } from "./client";
import type { EventLine } from "./event";
import { useRetry, useStale } from "./use-live";

const PAGE_ROWS = 50;

/** How many of the known rows are asked for with the new ones: the answer is joined to the list at the last of them. */
const JOIN_ROWS = 5;

/** A list's head is where it begins; every other page is asked for after the cursor of the row before it. */
const HEAD = null;
type Place = string | typeof HEAD;

export interface Endless<Row extends { id: string }> {
  rows: Row[];
  hasMore: boolean;
  isLoading: boolean;
  /** Whether the server has said what is in it. */
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
  /** Whose change makes a row old. */
  idIn: (event: EventLine) => string | undefined;
  /** Whether it is newest first; else what is new may stand anywhere, and what changes may move. */
  isNewestFirst?: boolean;
}

interface State<Row extends { id: string }> {
  of: string;
  page: Page<Row>;
  isAnswered: boolean;
  failure: { isTemporary: boolean; message: string } | undefined;
}

/** A list without an end: loads on by cursor, and asks again for what changed where it stands. */
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
      if (state.current.of !== of) return; // another list is shown by now
      const found = result.data ? connection(result.data) : null;
      const { page, isAnswered } = state.current;
      const place = placeAfter(page, after); // rows may have come or gone meanwhile
      const isJoined = count === PAGE_ROWS || !found || joins(page, found);
      if (found && (place === undefined || !isJoined)) wanted.current.set(HEAD, PAGE_ROWS);
      const isMoved = found !== null && place === undefined && !(latest.current.isNewestFirst ?? true);
      const joined =
        found && place !== undefined && isJoined
          ? splice(page, place, { edges: found.edges, hasNextPage: found.pageInfo.hasNextPage })
          : page;
      state.current = {
        of,
        // What stands behind a row that has moved is no longer known: it is asked for again by who scrolls there.
        page: isMoved ? { edges: joined.edges.slice(0, PAGE_ROWS), hasNextPage: true } : joined,
        isAnswered: isAnswered || found !== null,
        failure: result.error && { isTemporary: isTemporary(result.error), message: wordsOf(result.error) },
      };
    },
    [client],
  );

  /** One question after the other: an answer that was on its way when something happened may be from before. */
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

  // biome-ignore lint/correctness/useExhaustiveDependencies: another list begins from its head
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

/** Events of what was not there before: it comes at the head. Anything else that is not known may be anywhere. */
const NEW = /_CREATED$|_RECEIVED$/;

const first = <Key, Value>(items: Map<Key, Value>): [Key, Value] | undefined => items.entries().next().value;

/** Whether the end of an answer is known: nothing came in between that it does not hold. */
function joins<Row extends { id: string }>(page: Page<Row>, found: Connection<Row>): boolean {
  const last = found.edges.at(-1);
  return !found.pageInfo.hasNextPage || page.edges.some(({ node }) => node.id === last?.node.id);
}

/** Where the page begins in which a row stands. */
const pageOf = (edges: { cursor: string }[], place: number): Place =>
  edges[place - (place % PAGE_ROWS) - 1]?.cursor ?? HEAD;

/** The place of the row after a cursor; undefined when that row is gone. */
function placeAfter<Row extends { id: string }>(page: Page<Row>, after: Place): number | undefined {
  if (after === HEAD) return 0;
  const before = page.edges.findIndex(({ cursor }) => cursor === after);
  return before < 0 ? undefined : before + 1;
}

function empty<Row extends { id: string }>(of: string): State<Row> {
  return { of, page: { edges: [], hasNextPage: false }, isAnswered: false, failure: undefined };
}
