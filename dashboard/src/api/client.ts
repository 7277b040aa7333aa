import { Client, type CombinedError, cacheExchange, fetchExchange, mapExchange } from "urql";

/** The id of the key that this page was opened with, once known: another tab may have signed in with another key. */
let ownKeyId: string | null = null;

export function actAs(apiKeyId: string | null): void {
  ownKeyId = apiKeyId;
}

/** A client of the public API, with the browser's session. `onSignedOut` is called when the session has ended. */
export function createApi(onSignedOut: () => void): Client {
  return new Client({
    url: "/graphql",
    preferGetMethod: false,
    requestPolicy: "cache-and-network",
    fetchOptions: (): RequestInit => ({
      credentials: "same-origin",
      headers: ownKeyId === null ? {} : { "fluxrate-api-key-id": ownKeyId },
    }),
    exchanges: [
      cacheExchange,
      mapExchange({
        onError(error) {
          if ((error.response as Response | undefined)?.status === 401) onSignedOut();
        },
      }),
      fetchExchange,
    ],
  });
}

type Failure = Pick<CombinedError, "graphQLErrors" | "networkError">;

/** The API's error messages, or what to do if the server can't be reached. */
export function wordsOf(error: Failure): string {
  const messages = error.graphQLErrors.map((each) => each.message).join(" ");
  return (
    messages ||
    "The server can't be reached. What you see may be out of date; it is loaded again once the server is back."
  );
}

const TEMPORARY = new Set<unknown>(["UNAVAILABLE", "RATE_LIMITED", "TIMED_OUT"]);

/** Whether a retry may succeed in a moment. */
export const isTemporary = (error: Failure): boolean =>
  error.graphQLErrors.length === 0 || error.graphQLErrors.some(({ extensions }) => TEMPORARY.has(extensions?.["code"]));
