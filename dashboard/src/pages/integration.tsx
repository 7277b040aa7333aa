import { Fragment, useState } from "react";
import { Link } from "wouter";
import { graphql, type ResultOf } from "../api/graphql";
import { type Refusal, useAct } from "../api/use-act";
import { useLive } from "../api/use-live";
import { useMay } from "../api/viewer";
import { countOf } from "../lib/format";
import { standingOfIntegration } from "../lib/standing";
import { Button } from "../ui/button";
import { Copy } from "../ui/copy";
import { Alert, Problem } from "../ui/feedback";
import { Field } from "../ui/field";
import { Form } from "../ui/form";
import { Missing } from "../ui/missing";
import { Page } from "../ui/page";
import { Toggle } from "../ui/toggle";
import { inWords, Status, Time } from "../ui/values";

const IntegrationQuery = graphql(`
  query Integration($id: ID!) {
    stripeIntegration(id: $id) {
      id
      name
      mode
      status
      isActive
      secretKeyPreview
      webhookSecretPreview
      previousWebhookSecretPreview
      previousWebhookSecretExpiresAt
      stripeAccountId
      createdAt
      webhookUrl
      eventTypes { type isNeeded sentWhen }
      lastEventAt
      webhookSecretLastMatchedAt
      health {
        problems { code message fix }
        deliveries
        rejected
        quarantined
        unreadable
        lastRejectedAt
      }
    }
  }
`);

type Integration = NonNullable<ResultOf<typeof IntegrationQuery>["stripeIntegration"]>;

/** One integration: its setup, its health, and the actions on it. */
export default function IntegrationPage({ id }: { id: string }) {
  const { data, error, refresh } = useLive(
    IntegrationQuery,
    { id },
    ({ integration, type }) => integration?.id === id || type.startsWith("WEBHOOK_EVENT"),
  );
  const integration = data?.stripeIntegration;
  const back = { href: "/integrations", label: "Integrations" };
  if (!integration) {
    return <Missing title="Integration" noun="integration" back={back} isAnswered={data !== undefined} error={error} />;
  }
  const isConnected = integration.status !== "DISCONNECTED";
  return (
    <Page title={integration.name} back={back}>
      <div className="card-head">
        <Status value={standingOfIntegration(integration)} />
        <span className={`mode mode-${integration.mode}`}>{inWords(integration.mode)}</span>
        <Link href={`/webhook-events?integrationId=${id}`}>Its webhook events</Link>
      </div>
      {integration.health.problems.map((problem) => (
        <Problem key={problem.code} problem={problem} />
      ))}
      {isConnected && <Setup integration={integration} />}
      {isConnected && <Manage integration={integration} onDone={refresh} />}
      {isConnected && <Tools integration={integration} onDone={refresh} />}
      <Facts integration={integration} />
    </Page>
  );
}

/** An event type that breaks between its words where a line is too short. */
const breakable = (type: string) =>
  type.split(/(?<=[._])/).map((part, place) => (
    <Fragment key={part}>
      {place > 0 && <wbr />}
      {part}
    </Fragment>
  ));

/** The steps of the setup. Each is ticked as soon as the server reports it as done. */
function Setup({ integration }: { integration: Integration }) {
  const { webhookUrl, webhookSecretPreview, lastEventAt, health, eventTypes, status } = integration;
  const steps = [
    { label: "Stripe accepts the secret key", isDone: status !== "KEY_REJECTED" },
    { label: "Stripe posts to the webhook URL", isDone: health.deliveries + health.rejected > 0 },
    { label: "The webhook secret is saved", isDone: webhookSecretPreview !== null },
    { label: "The first event has arrived", isDone: lastEventAt !== null },
  ];
  const isComplete = steps.every((step) => step.isDone);
  return (
    <section className="card" aria-labelledby="setup">
      <h2 id="setup">Webhook</h2>
      {webhookUrl ? (
        <div className="field">
          <span className="label" id="webhook-url">
            Webhook URL
          </span>
          <Copy text={webhookUrl} label="Webhook URL" />
        </div>
      ) : (
        <p className="hint">To see the webhook URL, sign in with an API key that has the scope ADMIN.</p>
      )}
      <details open={!isComplete}>
        <summary>Set it up in Stripe</summary>
        <ol className="guide">
          <li>In Stripe, open Developers → Webhooks and add an endpoint with the URL above.</li>
          <li>
            Under <em>Events to send</em>, select:
            <ul className="events">
              {eventTypes.map(({ type, isNeeded, sentWhen }) => (
                <li key={type} title={sentWhen}>
                  <code>{breakable(type)}</code> {!isNeeded && <span className="hint">recommended</span>}
                </li>
              ))}
            </ul>
          </li>
          <li>Copy its signing secret, paste it as the webhook secret below, and save.</li>
        </ol>
      </details>
      <ul className="checklist" aria-label="Setup">
        {steps.map(({ label, isDone }) => (
          <li key={label} className={isDone ? "done" : "open"}>
            <span className="tick" aria-hidden="true">
              {isDone ? "✓" : ""}
            </span>
            {label}
            <span className="sr-only">{isDone ? ": done" : ": still missing"}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

const UpdateStripeIntegration = graphql(`
  mutation UpdateStripeIntegration($input: UpdateStripeIntegrationInput!) {
    updateStripeIntegration(input: $input) {
      __typename
      ... on UpdateStripeIntegrationSuccess { integration { id } appliedFromQuarantine }
      ... on Problem { code message path }
    }
  }
`);

function Manage({ integration, onDone }: { integration: Integration; onDone: () => void }) {
  const { act, isPending } = useAct(UpdateStripeIntegration);
  const [notice, setNotice] = useState<string | null>(null);
  const [saves, setSaves] = useState(0);
  const [refusal, setRefusal] = useState<Refusal | null>(null);
  if (!useMay("ADMIN")) return null;
  const { id, isActive } = integration;

  const save = async (values: Record<string, string>) => {
    const secrets = ["secretKey", "webhookSecret"].flatMap((name) =>
      values[name]?.trim() ? [[name, values[name].trim()]] : [],
    );
    const renamed = values["name"] !== integration.name ? { name: values["name"] ?? "" } : {};
    const outcome = await act({ input: { id, ...renamed, ...Object.fromEntries(secrets) } });
    if (outcome.refusal) return outcome.refusal;
    const applied = outcome.done.appliedFromQuarantine;
    setNotice(applied > 0 ? `Saved. Applied ${countOf(applied, "webhook event")} from the quarantine.` : "Saved.");
    setSaves(saves + 1);
    onDone();
    return null;
  };
  const turn = async (on: boolean) => {
    const outcome = await act({ input: { id, isActive: on } });
    setRefusal(outcome.refusal ?? null);
    onDone();
  };
  return (
    <section className="card" aria-labelledby="manage">
      <div className="card-head">
        <h2 id="manage">Manage</h2>
        <div className="actions">
          <Toggle label="Active" isOn={isActive} onTurn={turn} isDisabled={isPending} />
        </div>
      </div>
      {refusal && <Alert>{refusal.message}</Alert>}
      <Form key={saves} onSubmit={save} fields={["name", "secretKey", "webhookSecret"]} label="Manage">
        <Field label="Connection Name" name="name" defaultValue={integration.name} isRequired />
        <Field
          label="Secret Key"
          name="secretKey"
          type="password"
          autoComplete="off"
          placeholder={integration.secretKeyPreview}
          hint="Leave blank to keep the current key. A new key is saved only if Stripe accepts it."
        />
        <Field
          label="Webhook Secret"
          name="webhookSecret"
          type="password"
          autoComplete="off"
          placeholder={integration.webhookSecretPreview ?? "whsec_…"}
          hint={
            integration.webhookSecretPreview
              ? "Leave blank to keep the current secret. After you replace it, the old one verifies for up to 24 hours."
              : "The endpoint's signing secret, from Stripe."
          }
        />
        <div className="actions">
          <span role="status" className="hint">
            {notice}
          </span>
          <Button kind="primary" type="submit" isPending={isPending}>
            Save Changes
          </Button>
        </div>
      </Form>
    </section>
  );
}

const CheckStripeIntegration = graphql(`
  mutation CheckStripeIntegration($id: ID!) {
    checkStripeIntegration(id: $id) {
      __typename
      ... on CheckStripeIntegrationSuccess { problems { code message } }
      ... on Problem { code message path }
    }
  }
`);

const RepairStripeIntegration = graphql(`
  mutation RepairStripeIntegration($id: ID!) {
    repairStripeIntegration(id: $id) {
      __typename
      ... on RepairStripeIntegrationSuccess { repaired { code message } }
      ... on Problem { code message path }
    }
  }
`);

const SyncStripeEvents = graphql(`
  mutation SyncStripeEvents($id: ID!) {
    syncStripeEvents(integrationId: $id) {
      __typename
      ... on SyncStripeEventsSuccess { found alreadyKnown applied failed complete }
      ... on Problem { code message path }
    }
  }
`);

const DiscardQuarantined = graphql(`
  mutation DiscardQuarantined($id: ID!) {
    discardQuarantined(id: $id) {
      __typename
      ... on DiscardQuarantinedSuccess { discarded }
      ... on Problem { code message path }
    }
  }
`);

/** The actions at Stripe: check, repair, sync. */
function Tools({ integration, onDone }: { integration: Integration; onDone: () => void }) {
  const { id, health } = integration;
  const [notice, setNotice] = useState<{ isBad: boolean; message: string } | null>(null);
  const check = useAct(CheckStripeIntegration);
  const repair = useAct(RepairStripeIntegration);
  const sync = useSync(id);
  const discard = useAct(DiscardQuarantined);
  const mayAdmin = useMay("ADMIN");
  const mayWrite = useMay("WRITE");
  const isBusy = check.isPending || repair.isPending || sync.isRunning || discard.isPending;
  const report = (message: string, isBad = false) => {
    setNotice({ isBad, message });
    onDone();
  };

  const runCheck = async () => {
    const { done, refusal } = await check.act({ id });
    if (refusal) return report(refusal.message, true);
    return report(
      done.problems.length === 0
        ? "No problem was found at Stripe."
        : `${countOf(done.problems.length, "problem")} found.`,
    );
  };
  const runRepair = async () => {
    const { done, refusal } = await repair.act({ id });
    if (refusal) return report(refusal.message, true);
    const repaired = done.repaired.map((each) => each.message).join(" ");
    return report(repaired ? `Repaired: ${repaired}` : "There was nothing to repair.");
  };
  const runDiscard = async () => {
    const { done, refusal } = await discard.act({ id });
    return refusal ? report(refusal.message, true) : report(`${countOf(done.discarded, "webhook event")} discarded.`);
  };
  return (
    <section className="card" aria-labelledby="tools">
      <h2 id="tools">At Stripe</h2>
      <div className="tools">
        {mayAdmin && (
          <Button onPress={runCheck} isPending={check.isPending} isDisabled={isBusy}>
            Check
          </Button>
        )}
        {mayAdmin && (
          <Button onPress={runRepair} isPending={repair.isPending} isDisabled={isBusy}>
            Repair
          </Button>
        )}
        {mayWrite && (
          <Button onPress={async () => report(...(await sync.run()))} isPending={sync.isRunning} isDisabled={isBusy}>
            Sync
          </Button>
        )}
        {mayAdmin && health.quarantined > 0 && (
          <Button kind="danger" onPress={runDiscard} isPending={discard.isPending} isDisabled={isBusy}>
            Discard quarantined
          </Button>
        )}
      </div>
      <p className="hint">
        Check looks for problems in your Stripe account. Repair fixes the webhook endpoint. Sync fetches events that
        never arrived.
      </p>
      {sync.isRunning && <p role="status">Fetching events: {sync.found} so far …</p>}
      {notice && (notice.isBad ? <Alert>{notice.message}</Alert> : <p role="status">{notice.message}</p>)}
    </section>
  );
}

/** Syncs again until Stripe's list is read to its end, and counts the events meanwhile. */
function useSync(id: string) {
  const { act } = useAct(SyncStripeEvents);
  const [isRunning, setRunning] = useState(false);
  const [found, setFound] = useState(0);
  const run = async (): Promise<[string, boolean]> => {
    const sums = { found: 0, applied: 0, failed: 0 };
    setFound(0);
    setRunning(true);
    try {
      for (;;) {
        const { done, refusal } = await act({ id });
        if (refusal) return [refusal.message, true];
        sums.found += done.found;
        sums.applied += done.applied;
        sums.failed += done.failed;
        setFound(sums.found);
        if (done.complete) break;
      }
    } finally {
      setRunning(false);
    }
    const failed = sums.failed > 0 ? ` ${sums.failed} failed: see the webhook events.` : "";
    return [
      `${countOf(sums.found, "event")} found at Stripe; ${sums.applied} had not arrived and were applied.${failed}`,
      sums.failed > 0,
    ];
  };
  return { run, isRunning, found };
}

function Facts({ integration }: { integration: Integration }) {
  const { health } = integration;
  return (
    <section className="card" aria-labelledby="facts">
      <h2 id="facts">Facts</h2>
      <dl className="facts">
        <dt>Stripe account</dt>
        <dd>{integration.stripeAccountId ? <code>{integration.stripeAccountId}</code> : "not known yet"}</dd>
        <dt>Connected</dt>
        <dd>
          <Time at={integration.createdAt} />
        </dd>
        <dt>Secret key</dt>
        <dd>
          <code>{integration.secretKeyPreview}</code>
        </dd>
        <dt>Webhook secret</dt>
        <dd>{integration.webhookSecretPreview ? <code>{integration.webhookSecretPreview}</code> : "not saved yet"}</dd>
        {integration.previousWebhookSecretExpiresAt && (
          <>
            <dt>Previous secret</dt>
            <dd>
              <code>{integration.previousWebhookSecretPreview}</code> verifies until{" "}
              <Time at={integration.previousWebhookSecretExpiresAt} />
            </dd>
          </>
        )}
        <dt>Last event</dt>
        <dd>{integration.lastEventAt ? <Time at={integration.lastEventAt} ago /> : "none yet"}</dd>
        <dt>Deliveries</dt>
        <dd>
          {health.deliveries} verified, {health.rejected} rejected, {health.quarantined} in quarantine
        </dd>
      </dl>
    </section>
  );
}
