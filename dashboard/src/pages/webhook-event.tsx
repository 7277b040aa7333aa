import { useState } from "react";
import { Link } from "wouter";
import { graphql, type ResultOf } from "../api/graphql";
import { useAct } from "../api/use-act";
import { about, useLive } from "../api/use-live";
import { useMay } from "../api/viewer";
import { Button } from "../ui/button";
import { Dialog } from "../ui/dialog";
import { Alert, Problem } from "../ui/feedback";
import { Missing } from "../ui/missing";
import { Page } from "../ui/page";
import { Payload } from "../ui/payload";
import { inWords, Money, Status, Time } from "../ui/values";

const WebhookEventQuery = graphql(`
  query WebhookEvent($id: ID!) {
    webhookEvent(id: $id) {
      id
      type
      status
      stripeEventId
      deliveries
      attempts
      livemode
      apiVersion
      receivedAt
      processedAt
      payload
      reason { code message fix }
      history { at source status reason { code message } }
      integration { id name }
      invoice { id number status }
      customer { id name }
      payment { id amount { amount currency } }
    }
  }
`);

const SOURCES = {
  WEBHOOK: "Posted by Stripe",
  SYNC: "Fetched from Stripe",
  RETRY: "Retried automatically",
  REPLAY: "Replayed",
  APPLIED: "Its payment was applied by hand",
};

/** One webhook event: its status and reason, its history, and the payload from Stripe. */
export default function WebhookEventPage({ id }: { id: string }) {
  const { data, error, refresh } = useLive(WebhookEventQuery, { id }, about(id));
  const event = data?.webhookEvent;
  const mayWrite = useMay("WRITE");
  const back = { href: "/webhook-events", label: "Webhook Events" };
  if (!event) {
    return (
      <Missing title="Webhook event" noun="webhook event" back={back} isAnswered={data !== undefined} error={error} />
    );
  }
  const canReplay = mayWrite && event.status !== "PROCESSED";
  return (
    <Page title={event.type ?? "Unknown event"} back={back} actions={canReplay && <Replay id={id} onDone={refresh} />}>
      <div className="card-head">
        <Status value={event.status} />
      </div>
      {event.reason && <Problem problem={event.reason} />}
      <section className="card" aria-label="Facts">
        <dl className="facts">
          <dt>Stripe event</dt>
          <dd>{event.stripeEventId ? <code>{event.stripeEventId}</code> : "unknown"}</dd>
          <dt>Integration</dt>
          <dd>
            <Link href={`/integrations/${event.integration.id}`}>{event.integration.name}</Link>
          </dd>
          <dt>Invoice</dt>
          <dd>
            {event.invoice ? (
              <>
                <Link href={`/invoices/${event.invoice.id}`}>{event.invoice.number ?? "Draft"}</Link>{" "}
                <Status value={event.invoice.status} />
              </>
            ) : (
              "none"
            )}
          </dd>
          <dt>Payment</dt>
          <dd>
            {event.payment ? (
              <Link href={`/payments/${event.payment.id}`}>
                <Money value={event.payment.amount} />
              </Link>
            ) : (
              "none"
            )}
          </dd>
          <dt>Customer</dt>
          <dd>
            {event.customer ? <Link href={`/customers/${event.customer.id}`}>{event.customer.name}</Link> : "none"}
          </dd>
          <dt>Received</dt>
          <dd>
            <Time at={event.receivedAt} />
          </dd>
          <dt>Processed</dt>
          <dd>{event.processedAt ? <Time at={event.processedAt} /> : "not yet"}</dd>
          <dt>Deliveries</dt>
          <dd>
            {event.deliveries}, tried {event.attempts === 1 ? "once" : `${event.attempts} times`}
          </dd>
          <dt>API version</dt>
          <dd>{event.apiVersion ?? "unknown"}</dd>
          <dt>Mode</dt>
          <dd>{event.livemode === null ? "unknown" : event.livemode ? "Live" : "Test"}</dd>
        </dl>
      </section>
      <section className="card" aria-labelledby="history">
        <h2 id="history">History</h2>
        <ol className="lines">
          {event.history.map((attempt, place) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: the list only grows at its end
            <li key={place}>
              <span>{SOURCES[attempt.source]}</span>
              <Status value={attempt.status} />
              <span className="hint">{attempt.reason?.message}</span>
              <Time at={attempt.at} />
            </li>
          ))}
        </ol>
      </section>
      <section className="card" aria-labelledby="payload">
        <h2 id="payload">Payload</h2>
        {event.payload === null ? (
          <p className="hint">The payload can't be shown: it is not JSON, or its sender is not verified.</p>
        ) : (
          <Payload value={event.payload} />
        )}
      </section>
    </Page>
  );
}

const ReplayWebhookEvent = graphql(`
  mutation ReplayWebhookEvent($id: ID!, $dryRun: Boolean!) {
    replayWebhookEvent(id: $id, dryRun: $dryRun) {
      __typename
      ... on ReplayWebhookEventSuccess { outcome { before after changes webhookEvent { id status } } }
      ... on Problem { code message path }
    }
  }
`);

type Result = ResultOf<typeof ReplayWebhookEvent>["replayWebhookEvent"];
type Outcome = Extract<Result, { outcome: unknown }>["outcome"];

function Replay({ id, onDone }: { id: string; onDone: () => void }) {
  const { act, isPending } = useAct(ReplayWebhookEvent);
  const [isOpen, setOpen] = useState(false);
  const [outcome, setOutcome] = useState<Outcome | null>(null);
  const [isDone, setDone] = useState(false);
  const [refusal, setRefusal] = useState<string | null>(null);
  const run = async (dryRun: boolean) => {
    const answer = await act({ id, dryRun });
    setRefusal(answer.refusal?.message ?? null);
    if (!answer.done) return;
    setOutcome(answer.done.outcome);
    setDone(!dryRun);
    if (!dryRun) onDone();
  };
  const begin = () => {
    setOutcome(null);
    setDone(false);
    setOpen(true);
    void run(true);
  };
  return (
    <>
      <Button kind="primary" onPress={begin}>
        Replay
      </Button>
      <Dialog title="Replay this event" isOpen={isOpen} onClose={() => setOpen(false)}>
        {refusal && <Alert>{refusal}</Alert>}
        {!outcome && !refusal && <p role="status">Checking what would change …</p>}
        {outcome && (
          <div role="status">
            <p>
              It {isDone ? "was" : "is"} {inWords(outcome.before).toLowerCase()}, and {isDone ? "is now" : "would be"}{" "}
              <Status value={outcome.after} />.
            </p>
            {outcome.changes.length > 0 ? (
              <ul className="changes">
                {outcome.changes.map((change) => (
                  <li key={change}>{change}</li>
                ))}
              </ul>
            ) : (
              <p>Nothing else {isDone ? "has changed" : "would change"}.</p>
            )}
          </div>
        )}
        <div className="actions">
          <Button onPress={() => setOpen(false)}>{isDone ? "Close" : "Cancel"}</Button>
          {!isDone && (
            <Button kind="primary" isPending={isPending} isDisabled={!outcome} onPress={() => run(false)}>
              Replay now
            </Button>
          )}
        </div>
      </Dialog>
    </>
  );
}
