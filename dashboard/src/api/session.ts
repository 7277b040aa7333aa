/** The browser's session: a cookie that the page can't read, in exchange for an API key. All tabs share it. */

const tabs = new BroadcastChannel("session");

/** Calls `react` when another tab has signed in or out. */
export function onSessionChange(react: () => void): () => void {
  tabs.addEventListener("message", react);
  return () => tabs.removeEventListener("message", react);
}

/** Whether there is a session; null when the server can't say. */
export async function isSignedIn(): Promise<boolean | null> {
  const answer = await fetch("/session", { headers: { accept: "application/json" } }).catch(() => null);
  if (!answer?.ok) return null;
  const content = (await answer.json()) as { signedIn: boolean; graphiql: boolean };
  offersGraphiql = content.graphiql;
  return content.signedIn;
}

let offersGraphiql = false;

/** Whether this server has GraphiQL, by its last answer about the session. */
export const hasGraphiql = (): boolean => offersGraphiql;

/** Signs in; returns why the API key was refused, or null. */
export async function signIn(apiKey: string): Promise<string | null> {
  const answer = await fetch("/session", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ apiKey }),
  }).catch(() => null);
  if (answer === null) return "The server can't be reached. Check that it runs, then try again.";
  if (answer.ok) {
    tabs.postMessage("in");
    return null;
  }
  const refusal = (await answer.json().catch(() => ({}))) as { errors?: { message: string }[]; error?: string };
  return refusal.errors?.[0]?.message ?? refusal.error ?? `The server answered with status ${answer.status}.`;
}

/** Signs out; returns whether the server ended the session. */
export async function signOut(): Promise<boolean> {
  const answer = await fetch("/session", { method: "DELETE" }).catch(() => null);
  if (answer?.ok) tabs.postMessage("out");
  return answer?.ok ?? false;
}

/** The API key in a sign-in link's fragment. It is removed from the address at once; it is never sent to a server. */
export function keyInAddress(): string | null {
  const key = new URLSearchParams(location.hash.slice(1)).get("key");
  if (key !== null) history.replaceState(null, "", location.pathname + location.search);
  return key;
}
