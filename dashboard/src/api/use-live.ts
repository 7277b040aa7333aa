import { useCallback, useEffect, useRef, useSyncExternalStore } from "react";
import { type AnyVariables, type TypedDocumentNode, useQuery } from "urql";
import type { EventLine } from "./event";
import { Live, type LiveStatus } from "./live";

export const live = new Live();

/** The least time between two answers to what happened: a busy workspace doesn't have a page ask without end. */
const PACE_MS = 250;

export const useLiveStatus = (): LiveStatus => useSyncExternalStore(live.watch, live.status);

/** Calls `refresh` when something happens that `concerns` what is shown: at once, then at most four times a second. */
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

/** What the API answers, asked again whenever something happens that concerns it. */
export function useLive<Data, Variables extends AnyVariables>(
  query: TypedDocumentNode<Data, Variables>,
  variables: Variables,
  concerns: (event: EventLine) => boolean,
) {
  const [result, execute] = useQuery<Data, Variables>({ query, variables } as never);
  const refresh = useCallback(() => execute({ requestPolicy: "network-only" }), [execute]);
  useStale(concerns, refresh);
  return { ...result, refresh };
}

export const anything = (): boolean => true;
export const nothing = (): boolean => false;
export const about =
  (id: string) =>
  (event: EventLine): boolean =>
    [event.invoice, event.payment, event.customer, event.integration, event.webhookEvent].some(
      (each) => each?.id === id,
    );
