import { useCallback, useEffect, useMemo, useState } from "react";
import { Provider, useQuery } from "urql";
import { actAs, createApi, wordsOf } from "./api/client";
import { isSignedIn, keyInAddress, onSessionChange, signIn, signOut } from "./api/session";
import { live } from "./api/use-live";
import { ViewerContext, ViewerQuery } from "./api/viewer";
import { SignIn } from "./pages/sign-in";
import { Shell } from "./shell";
import { Button } from "./ui/button";
import { Alert, Loading } from "./ui/feedback";

type Session =
  | { is: "unknown" }
  | { is: "unreachable" }
  | { is: "out"; because: string | null }
  | { is: "asked"; key: string }
  | { is: "in"; since: number; byForm: boolean };

const ENDED = "Your session has ended: the API key was revoked or has expired, or 12 hours have passed.";

/** The dashboard, or the sign-in form if nobody is signed in. */
export function App() {
  const [session, setSession] = useState<Session>({ is: "unknown" });
  const begin = useCallback((byForm = false) => setSession({ is: "in", since: Date.now(), byForm }), []);
  const end = useCallback((because: string | null) => setSession({ is: "out", because }), []);

  const enter = useCallback(
    async (key: string) => {
      const refusal = await signIn(key);
      if (refusal === null) begin();
      else end(refusal);
    },
    [begin, end],
  );
  const open = useCallback(
    async (key: string | null) => {
      const known = await isSignedIn();
      if (known === null) setSession({ is: "unreachable" });
      else if (known && key) setSession({ is: "asked", key });
      else if (known) begin();
      else if (key) await enter(key);
      else end(null);
    },
    [begin, end, enter],
  );
  useEffect(() => {
    const openHere = () => void open(keyInAddress());
    const followLink = () => location.hash.startsWith("#key=") && openHere();
    openHere();
    addEventListener("hashchange", followLink); // pasting a link into an open dashboard doesn't reload the page
    return () => removeEventListener("hashchange", followLink);
  }, [open]);
  useEffect(() => onSessionChange(() => location.reload()), []);

  /** The session has ended, or another tab has begun another one. */
  const ended = async () => ((await isSignedIn()) ? location.reload() : end(ENDED));
  switch (session.is) {
    case "unknown":
      return <Loading />;
    case "unreachable":
      return <Unreachable onRetry={() => open(null)} />;
    case "asked":
      return <Asked onEnter={() => enter(session.key)} onStay={() => begin(true)} />;
    case "out":
      return <SignIn because={session.because} onSignedIn={() => begin(true)} />;
    case "in":
      return <SignedIn key={session.since} byForm={session.byForm} onEnded={ended} onLeft={() => end(null)} />;
  }
}

function Unreachable({ onRetry }: { onRetry: () => void }) {
  return (
    <main className="gate">
      <Alert>The server can't be reached, or can't say who is signed in.</Alert>
      <Button onPress={onRetry}>Try again</Button>
    </main>
  );
}

/** Asks before a sign-in link replaces the session: anybody can send such a link. */
function Asked({ onEnter, onStay }: { onEnter: () => void; onStay: () => void }) {
  return (
    <main className="gate">
      <div className="gate-card">
        <h1>Sign in with this link?</h1>
        <p>
          You are already signed in. The link signs this browser in with another API key, perhaps of another workspace.
        </p>
        <div className="actions">
          <Button kind="primary" onPress={onStay}>
            Stay signed in
          </Button>
          <Button onPress={onEnter}>Sign in with the link</Button>
        </div>
      </div>
    </main>
  );
}

interface SignedInProps {
  /** Whether the user signed in with the form, which had the focus. */
  byForm: boolean;
  onEnded: () => void;
  onLeft: () => void;
}

function SignedIn({ byForm, onEnded, onLeft }: SignedInProps) {
  // biome-ignore lint/correctness/useExhaustiveDependencies: one client for one session
  const api = useMemo(() => createApi(onEnded), []);
  return (
    <Provider value={api}>
      <Opened byForm={byForm} onEnded={onEnded} onLeft={onLeft} />
    </Provider>
  );
}

function Opened({ byForm, onEnded, onLeft }: SignedInProps) {
  const [{ data, error }, ask] = useQuery({ query: ViewerQuery });
  const [stays, setStays] = useState(false);
  const viewer = data?.viewer;
  const cursor = viewer?.workspace.eventCursor;
  const keyId = viewer?.apiKey.id ?? null;
  actAs(keyId);
  // biome-ignore lint/correctness/useExhaustiveDependencies: it starts once and then resumes on its own
  useEffect(() => {
    if (cursor === undefined) return;
    live.start(cursor, onEnded, () => location.reload());
    return () => live.stop();
  }, [cursor !== undefined]);
  useEffect(() => () => actAs(null), []);
  const leave = async () => ((await signOut()) ? onLeft() : setStays(true));
  if (viewer) {
    return (
      <ViewerContext value={viewer}>
        {stays && <Alert>You are still signed in: the server did not end the session. Try again.</Alert>}
        <Shell hasFocus={byForm} onLeave={leave} />
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
