import { createClient, type Client as Socket } from "graphql-ws";
import { stringifyDocument } from "urql";
import { type EventLine, Follow } from "./event";

export type LiveStatus = "connecting" | "live" | "reconnecting";
type Listener = (event: EventLine) => void;

const PONG_WITHIN_MS = 5_000;
const PING_EVERY_MS = 10_000;
const MAX_PAUSE_MS = 5_000;
const TRY_AGAIN_AFTER_MS = 1_000;
const UNAUTHORIZED = 4401;

/**
 * The page's only subscription. Components listen to its events and then fetch their data again; the events themselves
 * are not shown as state. After a break it reconnects and resumes after the last event.
 */
export class Live {
  #listeners = new Set<Listener>();
  #watchers = new Set<() => void>();
  #socket: Socket | undefined;
  #status: LiveStatus = "connecting";

  /** Follows the events after a cursor. `onSignedOut`: the session has ended; `onLost`: the cursor is unknown. */
  start(after: string, onSignedOut: () => void, onLost: () => void): void {
    let silence: ReturnType<typeof setTimeout> | undefined;
    const socket = createClient({
      url: addressOfSocket(),
      retryAttempts: Number.POSITIVE_INFINITY,
      retryWait: (tries) => pause(Math.random() * Math.min(200 * 2 ** tries, MAX_PAUSE_MS)),
      shouldRetry: (closed) => (closed as { code?: number }).code !== UNAUTHORIZED,
      keepAlive: PING_EVERY_MS,
      on: {
        connected: () => this.#become("live"),
        closed: (closed) => {
          clearTimeout(silence);
          if (this.#socket === socket) this.#become("reconnecting");
          if ((closed as { code?: number }).code === UNAUTHORIZED) onSignedOut();
        },
        ping: (received) => {
          if (!received) silence = setTimeout(() => socket.terminate(), PONG_WITHIN_MS);
        },
        pong: (received) => {
          if (received) clearTimeout(silence);
        },
      },
    });
    this.#socket = socket;
    let cursor = after;
    const follow = () => {
      if (this.#socket !== socket) return;
      socket.subscribe<{ events: EventLine }>(
        {
          query: stringifyDocument(Follow),
          variables: {
            get after() {
              return cursor; // read at each connection, so it resumes after the last event
            },
          },
        },
        {
          next: ({ data }) => {
            if (!data) return;
            cursor = data.events.cursor;
            for (const listener of [...this.#listeners]) listener(data.events);
          },
          error: (error) => {
            if (this.#socket === socket) setTimeout(isLost(error) ? onLost : follow, TRY_AGAIN_AFTER_MS);
          },
          complete: () => {},
        },
      );
    };
    follow();
  }

  stop(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#become("connecting");
    void socket?.dispose();
  }

  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  readonly watch = (watcher: () => void): (() => void) => {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  };

  readonly status = (): LiveStatus => this.#status;

  #become(status: LiveStatus): void {
    if (status === this.#status) return;
    this.#status = status;
    for (const watcher of [...this.#watchers]) watcher();
  }
}

/** Whether the server doesn't know the cursor; all other errors are retried. */
const isLost = (error: unknown): boolean =>
  Array.isArray(error) && error.some(({ extensions }) => extensions?.code === "INVALID_CURSOR");

export const addressOfSocket = () => `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/graphql`;

const pause = (milliseconds: number) => new Promise<void>((resolve) => setTimeout(resolve, milliseconds));
