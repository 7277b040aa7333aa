import { useCallback, useRef, useState } from "react";
import { type AnyVariables, type TypedDocumentNode, useClient } from "urql";
import { inOurWords } from "../lib/wording";
import { wordsOf } from "./client";

/** Why a mutation was refused. `field` is the field at fault, like "lineItems.0.quantity". */
export interface Refusal {
  message: string;
  field: string | null;
}

interface Problem {
  code: string;
  message: string;
  path: string[] | null;
}

type Answer<Data> = Data[keyof Data];
type Success<Data> = Exclude<Answer<Data>, Problem>;
export type Outcome<Data> = { done: Success<Data>; refusal?: never } | { done?: never; refusal: Refusal };

/** Sends a mutation; returns its result or why it was refused. Nothing is shown as done before the server answers. */
export function useAct<Data, Variables extends AnyVariables>(mutation: TypedDocumentNode<Data, Variables>) {
  const client = useClient();
  const [isPending, setPending] = useState(false);
  const act = useCallback(
    async (variables: Variables): Promise<Outcome<Data>> => {
      setPending(true);
      try {
        const result = await client.mutation(mutation, variables).toPromise();
        if (!result.data) return { refusal: { message: result.error ? wordsOf(result.error) : "", field: null } };
        const answer = Object.values(result.data as object)[0] as Answer<Data>;
        return isProblem(answer) ? { refusal: refusalOf(answer) } : { done: answer as Success<Data> };
      } finally {
        setPending(false);
      }
    },
    [client, mutation],
  );
  return { act, isPending };
}

function isProblem(answer: unknown): answer is Problem {
  return typeof answer === "object" && answer !== null && "message" in answer && "path" in answer;
}

function refusalOf({ message, path }: Problem): Refusal {
  const field = path?.filter((part) => part !== "input").join(".");
  return { message: inOurWords(message), field: field || null };
}

/** Random digits. */
export function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** An idempotency key per input: the same input sent again is done once, and changed input is another request. */
export function useIdempotencyKey(): <Input extends object>(input: Input) => Input & { idempotencyKey: string } {
  const last = useRef({ text: "", key: "" });
  return useCallback((input) => {
    const text = JSON.stringify(input);
    if (last.current.text !== text) last.current = { text, key: newKey() };
    return { ...input, idempotencyKey: last.current.key };
  }, []);
}
