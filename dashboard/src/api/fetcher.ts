import type { Fetcher } from "@graphiql/toolkit";
import { type ExecutionResult, getOperationAST } from "graphql";
import { createClient } from "graphql-ws";
import { addressOfSocket } from "./live";

type Params = Parameters<Fetcher>[0];
type Headers = Record<string, string>;
type Result = ExecutionResult<Record<string, unknown>, Record<string, unknown>>;

/** Sends GraphiQL's operations: subscriptions over a socket, others over HTTP. Without a key it uses the session. */
export const fetcher: Fetcher = (params, { headers = {}, documentAST } = {}) => {
  const operation = documentAST && getOperationAST(documentAST, params.operationName);
  return operation?.operation === "subscription" ? follow(params, headers) : ask(params, headers);
};

async function ask(params: Params, headers: Headers) {
  const answer = await fetch("/graphql", {
    method: "POST",
    headers: { accept: "application/json", "content-type": "application/json", ...headers },
    body: JSON.stringify(params),
  });
  return answer.json().catch(() => {
    throw new Error(`The server answered with status ${answer.status}.`);
  });
}

function follow({ query, variables, operationName }: Params, headers: Headers): AsyncIterable<Result> {
  const authorization = Object.entries(headers).find(([name]) => name.toLowerCase() === "authorization")?.[1];
  const socket = createClient({
    url: addressOfSocket(),
    connectionParams: authorization === undefined ? {} : { authorization },
    retryAttempts: 0, // a reconnect would hide what happened meanwhile
  });
  const results = socket.iterate({
    query,
    variables,
    operationName: operationName ?? null,
  }) as AsyncIterableIterator<Result>;
  return {
    [Symbol.asyncIterator]: () => ({
      next: () => results.next().catch((error) => Promise.reject(asShown(error))),
      return: () => results.return?.() ?? Promise.resolve({ done: true as const, value: undefined }),
    }),
  };
}

/** GraphiQL would show nothing for a CloseEvent. */
function asShown(error: unknown): unknown {
  if (!(error instanceof CloseEvent)) return error;
  return new Error(`The socket was closed: ${error.code} ${error.reason}`.trim());
}
