import { useCallback, useEffect, useMemo, useState } from "react";
import { Provider, useQuery } from "urql";
import { createApi, wordsOf } from "./api/client";
import { isSignedIn, keyInAddress, signIn, signOut } from "./api/session";
import { live } from "./api/use-live";
import { ViewerContext, ViewerQuery } from "./api/viewer";
import { SignIn } from "./pages/sign-in";
import { Shell } from "./shell";
import { Button } from "./ui/button";
import { Alert, Loading } from "./ui/feedback";

type Session = { is: "unknown" } | { is: "out"; because: string | null } | { is: "in"; since: number };

const ENDED = "Your session has ended: the API key was revoked or has expired, or twelve hours are over.";

/** The dashboard for who is signed in, and the way in for who is not. */
export function App() {
  const [session, setSession] = useState<Session>({ is: "unknown" });
  const begin = useCallback(() => setSession({ is: "in", since: Date.now() }), []);
  const end = useCallback((because: string | null) => setSession({ is: "out", because }), []);

  useEffect(() => {
    void (async () => {
      const key = keyInAddress();
      const refusal = key ? await signIn(key) : null;
      if (refusal !== null) end(refusal);
      else if (await isSignedIn().catch(() => false)) begin();
      else end(null);
    })();
  }, [begin, end]);

  if (session.is === "unknown") return <Loading />;
  if (session.is === "out") return <SignIn because={session.because} onSignedIn={begin} />;
  const leave = () => void signOut().finally(() => end(null));
  return <SignedIn key={session.since} onEnded={() => end(ENDED)} onLeave={leave} />;
}

function SignedIn({ onEnded, onLeave }: { onEnded: () => void; onLeave: () => void }) {
  // biome-ignore lint/correctness/useExhaustiveDependencies: one client for one session
  const api = useMemo(() => createApi(onEnded), []);
  return (
    <Provider value={api}>
      <Opened onEnded={onEnded} onLeave={onLeave} />
    </Provider>
  );
}

function Opened({ onEnded, onLeave }: { onEnded: () => void; onLeave: () => void }) {
  const [{ data, error }, ask] = useQuery({ query: ViewerQuery });
  const viewer = data?.viewer;
  const cursor = viewer?.workspace.eventCursor;
  // biome-ignore lint/correctness/useExhaustiveDependencies: it begins once, and goes on by itself
  useEffect(() => {
    if (cursor === undefined) return;
    live.start(cursor, onEnded, () => location.reload());
    return () => live.stop();
  }, [cursor !== undefined]);
  if (viewer) {
    return (
      <ViewerContext value={viewer}>
        <Shell onLeave={onLeave} />
      </ViewerContext>
    );
  }
  if (!error) return <Loading />;
  return (
    <main className="gate">
      <Alert>{wordsOf(error)}</Alert>
      <Button onPress={() => ask({ requestPolicy: "network-only" })}>Try again</Button>
    </main>
  );
}
