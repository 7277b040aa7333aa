import { Client, cacheExchange, fetchExchange, mapExchange } from "urql";

/** The public API, asked with the browser's session. `onSignedOut` is called when the session opens nothing more. */
export function createApi(onSignedOut: () => void): Client {
  return new Client({
    url: "/graphql",
    preferGetMethod: false,
    requestPolicy: "cache-and-network",
    fetchOptions: { credentials: "same-origin" },
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

/** The API's own words, or what the reader can do when nothing answered. */
export function wordsOf(error: { graphQLErrors: { message: string }[]; networkError?: Error | undefined }): string {
  const told = error.graphQLErrors.map((each) => each.message).join(" ");
  return told || "The server can't be reached. What you see may be old; it is asked again when it is back.";
}
