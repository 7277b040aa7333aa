import { useCallback, useEffect, useRef, useSyncExternalStore } from "react";
import { type AnyVariables, type TypedDocumentNode, useQuery } from "urql";
import { isTemporary } from "./client";
import type { EventLine } from "./event";
import { Live, type LiveStatus } from "./live";

export const live = new Live();

/** The shortest time between two refetches, so that a page in a busy workspace doesn't refetch all the time. */
const PACE_MS = 250;

const RETRY_AFTER_MS = 3_000;

export const useLiveStatus = (): LiveStatus => useSyncExternalStore(live.watch, live.status);

/** Calls `refresh` for events that `concerns` accepts: at once, then at most four times a second. */
export function useStale(concerns: (event: EventLine) => boolean, refresh: (events: EventLine[]) => void): void {
  const latest = useRef({ concerns, refresh });
  latest.current = { concerns, refresh };
  useEffect(() => {
    let waiting: EventLine[] = [];
    let timer: ReturnType<typeof setTimeout> | undefined;
    const run = () => {
      const events = waiting;
      waiting = [];
      timer = events.length > 0 ? setTimeout(run, PACE_MS) : undefined;
      if (events.length > 0) latest.current.refresh(events);
    };
    const stop = live.listen((event) => {
      if (!latest.current.concerns(event)) return;
      waiting.push(event);
      if (timer === undefined) run();
    });
    return () => {
      stop();
      clearTimeout(timer);
    };
  }, []);
}

/** The result of a query, which is fetched again whenever an event concerns it. */
export function useLive<Data, Variables extends AnyVariables>(
  query: TypedDocumentNode<Data, Variables>,
  variables: Variables,
  concerns: (event: EventLine) => boolean,
) {
  const [result, execute] = useQuery<Data, Variables>({ query, variables } as never);
  const { fetching, stale, error } = result;
  const isAsked = fetching || stale;
  const isOld = useRef(false);
  const asked = useRef(isAsked);
  asked.current = isAsked;
  const refresh = useCallback(() => {
    if (asked.current) isOld.current = true;
    else execute({ requestPolicy: "network-only" });
  }, [execute]);
  useEffect(() => {
    if (isAsked || !isOld.current) return;
    isOld.current = false; // an answer under way when an event comes may be from before it
    execute({ requestPolicy: "network-only" });
  }, [isAsked, execute]);
  useStale(concerns, refresh);
  useRetry(error && isTemporary(error) && !isAsked ? error : undefined, refresh);
  return { ...result, refresh };
}

/** Retries after a pause, for as long as there is a failure. */
export function useRetry(failure: unknown, retry: () => void): void {
  useEffect(() => {
    if (failure === undefined) return;
    const timer = setTimeout(retry, RETRY_AFTER_MS);
    return () => clearTimeout(timer);
  }, [failure, retry]);
}

export const anything = (): boolean => true;
export const nothing = (): boolean => false;
export const about =
  (id: string) =>
  (event: EventLine): boolean =>
    [event.invoice, event.payment, event.customer, event.integration, event.webhookEvent].some(
      (each) => each?.id === id,
    );

/** Accepts events that may change a customer's name. */
export const aboutOrCustomer =
  (id: string) =>
  (event: EventLine): boolean =>
    event.type === "CUSTOMER_UPDATED" || about(id)(event);
