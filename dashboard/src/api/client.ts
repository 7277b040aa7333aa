import { Client, type CombinedError, cacheExchange, fetchExchange, mapExchange } from "urql";

/** Whose session this page was opened in, once it is known: another tab may have signed in by another key since. */
let ownKeyId: string | null = null;

export function actAs(apiKeyId: string | null): void {
  ownKeyId = apiKeyId;
}

/** The public API, asked with the browser's session. `onSignedOut` is called when the session opens nothing more. */
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

/** The API's own words, or what the reader can do when nothing answered. */
export function wordsOf(error: Failure): string {
  const told = error.graphQLErrors.map((each) => each.message).join(" ");
  return (
    told || "The server can't be reached. What you see may be out of date; it is loaded again once the server is back."
  );
}

const TEMPORARY = new Set<unknown>(["UNAVAILABLE", "RATE_LIMITED", "TIMED_OUT"]);

/** Whether the same question may be answered in a moment. */
export const isTemporary = (error: Failure): boolean =>
  error.graphQLErrors.length === 0 || error.graphQLErrors.some(({ extensions }) => TEMPORARY.has(extensions?.["code"]));
