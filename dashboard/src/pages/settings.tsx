import { useState } from "react";
import { wordsOf } from "../api/client";
import { graphql, type ResultOf } from "../api/graphql";
import { type Refusal, useAct, useIdempotencyKey } from "../api/use-act";
import { useLive } from "../api/use-live";
import { useMay, useViewer } from "../api/viewer";
import { Button } from "../ui/button";
import { Copy } from "../ui/copy";
import { Dialog } from "../ui/dialog";
import { Alert, Loading } from "../ui/feedback";
import { Field } from "../ui/field";
import { Form } from "../ui/form";
import { Page } from "../ui/page";
import { inWords, Time } from "../ui/values";

const ApiKeysQuery = graphql(`
  query ApiKeys {
    apiKeys(first: 100) {
      nodes { id name preview scopes createdAt lastUsedAt expiresAt revokedAt }
    }
  }
`);

type ApiKey = NonNullable<ResultOf<typeof ApiKeysQuery>["apiKeys"]>["nodes"][number];

/** The workspace and its API keys. */
export default function Settings() {
  const { workspace, apiKey } = useViewer();
  const mayAdmin = useMay("ADMIN");
  return (
    <Page title="Settings">
      <section className="card" aria-labelledby="workspace">
        <h2 id="workspace">Workspace</h2>
        <dl className="facts">
          <dt>Name</dt>
          <dd>{workspace.name}</dd>
          <dt>Mode</dt>
          <dd>{inWords(workspace.mode)}</dd>
          <dt>ID</dt>
          <dd>
            <code>{workspace.id}</code>
          </dd>
          <dt>Signed in with</dt>
          <dd>
            {apiKey.name} <code>{apiKey.preview}</code>, {apiKey.scopes.map(inWords).join(", ")}
          </dd>
        </dl>
      </section>
      {mayAdmin ? <ApiKeys /> : <p className="hint">To see the API keys, sign in with one that has the scope ADMIN.</p>}
    </Page>
  );
}

function ApiKeys() {
  const { data, error, refresh } = useLive(ApiKeysQuery, {}, ({ type }) => type.startsWith("API_KEY"));
  const [isNew, setNew] = useState(false);
  const [made, setMade] = useState<string | null>(null);
  return (
    <section className="card" aria-labelledby="keys">
      <div className="card-head">
        <h2 id="keys">API keys</h2>
        <div className="actions">
          <Button
            onPress={() => {
              setMade(null);
              setNew(true);
            }}
          >
            Create API key
          </Button>
        </div>
      </div>
      {made && (
        <div role="status" className="once">
          <p>Copy the new key now: it is not stored, and never shown again.</p>
          <Copy text={made} label="New API key" />
        </div>
      )}
      {error && <Alert>{wordsOf(error)}</Alert>}
      {!data && !error && <Loading />}
      <ul className="lines">
        {data?.apiKeys?.nodes.map((apiKey) => (
          <Key key={apiKey.id} apiKey={apiKey} onDone={refresh} />
        ))}
      </ul>
      <Dialog title="Create API key" isOpen={isNew} onClose={() => setNew(false)}>
        <NewKey
          onMade={(key) => {
            setMade(key);
            setNew(false);
            refresh();
          }}
          onCancel={() => setNew(false)}
        />
      </Dialog>
    </section>
  );
}

const CreateApiKey = graphql(`
  mutation CreateApiKey($input: CreateApiKeyInput!) {
    createApiKey(input: $input) {
      __typename
      ... on CreateApiKeySuccess { apiKey { id } key }
      ... on Problem { code message path }
    }
  }
`);

const SCOPES = [
  { scope: "READ", what: "sees everything" },
  { scope: "WRITE", what: "also creates and changes invoices and customers" },
  { scope: "ADMIN", what: "also connects Stripe and creates API keys" },
] as const;

function NewKey({ onMade, onCancel }: { onMade: (key: string) => void; onCancel: () => void }) {
  const { act, isPending } = useAct(CreateApiKey);
  const withKey = useIdempotencyKey();
  const submit = async (values: Record<string, string>): Promise<Refusal | null> => {
    const { done, refusal } = await act({
      input: withKey({ name: values["name"] ?? "", scopes: [values["scope"] as "READ"] }),
    });
    if (done) onMade(done.key);
    return refusal ?? null;
  };
  return (
    <Form onSubmit={submit} fields={["name"]}>
      <Field label="Name" name="name" isRequired hint="Who or what will use it." />
      <fieldset className="choices">
        <legend>Scope</legend>
        {SCOPES.map(({ scope, what }) => (
          <label key={scope} className="check">
            <input type="radio" name="scope" value={scope} defaultChecked={scope === "READ"} />
            <span>
              {inWords(scope)} <span className="hint">{what}</span>
            </span>
          </label>
        ))}
      </fieldset>
      <div className="actions">
        <Button onPress={onCancel}>Cancel</Button>
        <Button kind="primary" type="submit" isPending={isPending}>
          Create
        </Button>
      </div>
    </Form>
  );
}

const RevokeApiKey = graphql(`
  mutation RevokeApiKey($id: ID!) {
    revokeApiKey(id: $id) {
      __typename
      ... on RevokeApiKeySuccess { apiKey { id revokedAt } }
      ... on Problem { code message path }
    }
  }
`);

function Key({ apiKey, onDone }: { apiKey: ApiKey; onDone: () => void }) {
  const own = useViewer().apiKey.id === apiKey.id;
  const { act, isPending } = useAct(RevokeApiKey);
  const [isAsked, setAsked] = useState(false);
  const [refusal, setRefusal] = useState<string | null>(null);
  const revoke = async () => {
    const outcome = await act({ id: apiKey.id });
    setRefusal(outcome.refusal?.message ?? null);
    if (outcome.refusal) return;
    setAsked(false);
    onDone();
  };
  return (
    <li>
      <strong id={apiKey.id}>{apiKey.name}</strong>
      <code>{apiKey.preview}</code>
      <span className="hint">{apiKey.scopes.map(inWords).join(", ")}</span>
      <span className="hint">
        {apiKey.revokedAt ? (
          <>
            revoked <Time at={apiKey.revokedAt} ago />
          </>
        ) : apiKey.lastUsedAt ? (
          <>
            used <Time at={apiKey.lastUsedAt} ago />
          </>
        ) : (
          "never used"
        )}
      </span>
      {!apiKey.revokedAt && (
        <Button aria-describedby={apiKey.id} onPress={() => setAsked(true)}>
          Revoke
        </Button>
      )}
      <Dialog title={`Revoke ${apiKey.name}?`} isOpen={isAsked} onClose={() => setAsked(false)} role="alertdialog">
        {refusal && <Alert>{refusal}</Alert>}
        <p>
          Programs that use this key are refused from now on, and their open connections are closed.
          {own && " You signed in with this key, so you will be signed out."}
        </p>
        <div className="actions">
          <Button onPress={() => setAsked(false)}>Cancel</Button>
          <Button kind="danger" isPending={isPending} onPress={revoke}>
            Revoke key
          </Button>
        </div>
      </Dialog>
    </li>
  );
}
