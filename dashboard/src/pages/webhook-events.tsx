import { useCallback, useEffect, useRef, useState } from "react";
import { graphql, type ResultOf, type VariablesOf } from "../api/graphql";
import { useAct } from "../api/use-act";
import { useEndless } from "../api/use-endless";
import { useLive } from "../api/use-live";
import { useMay } from "../api/viewer";
import { countOf } from "../lib/format";
import { Button } from "../ui/button";
import { Dialog } from "../ui/dialog";
import { Alert, Empty } from "../ui/feedback";
import { Choice, Clear, optionsOf, Period, startOf, Typed, useFilters } from "../ui/filters";
import { List } from "../ui/list";
import { Page } from "../ui/page";
import { Status, Time } from "../ui/values";

const WebhookEventsQuery = graphql(`
  query WebhookEvents($first: Int!, $after: String, $filter: WebhookEventFilter) {
    webhookEvents(first: $first, after: $after, filter: $filter, order: DESC) {
      edges {
        cursor
        node { id type status stripeEventId receivedAt deliveries reason { message } integration { id name } }
      }
      pageInfo { hasNextPage }
    }
  }
`);

const IntegrationNames = graphql(`
  query IntegrationNames {
    stripeIntegrations(first: 100, includeDisconnected: true) { nodes { id name eventsToSend } }
  }
`);

type Row = ResultOf<typeof WebhookEventsQuery>["webhookEvents"]["edges"][number]["node"];

const STATUSES = ["PROCESSED", "IGNORED", "UNAPPLIED", "HELD", "QUARANTINED", "FAILED"] as const;

const COLUMNS = [
  { header: "Type", cell: (row: Row) => <code>{row.type ?? "unknown"}</code>, share: 3 },
  { header: "Status", cell: (row: Row) => <Status value={row.status} />, share: 1.4 },
  { header: "Why", cell: (row: Row) => <span className="clip">{row.reason?.message}</span>, share: 2.9 },
  { header: "Integration", cell: (row: Row) => <span className="clip">{row.integration.name}</span>, share: 1.8 },
  { header: "Received", cell: (row: Row) => <Time at={row.receivedAt} />, share: 2.5 },
];

/** All webhook events, newest first, updated live. */
export default function WebhookEvents() {
  const { values, set, clear, isAny } = useFilters([
    "search",
    "status",
    "type",
    "integrationId",
    "from",
    "to",
  ] as const);
  const names = useLive(IntegrationNames, {}, ({ integration }) => integration !== null);
  const integrations = names.data?.stripeIntegrations.nodes ?? [];
  const types = [...new Set(integrations.flatMap((each) => each.eventsToSend))].sort();
  const filter = {
    search: values.search.trim() || null,
    status: values.status ? [values.status as Row["status"]] : null,
    type: values.type ? [values.type] : null,
    integrationId: values.integrationId || null,
    receivedAfter: startOf(values.from),
    receivedBefore: startOf(values.to, 1),
  };
  const list = useEndless({
    query: WebhookEventsQuery,
    variables: { filter },
    connection: (data) => data.webhookEvents,
    concerns: ({ type }) => type.startsWith("WEBHOOK_EVENT"),
    idIn: ({ webhookEvent }) => webhookEvent?.id,
  });
  const mayWrite = useMay("WRITE");
  return (
    <Page title="Webhook Events" actions={mayWrite && <ReplayMany filter={filter} isAny={isAny} />}>
      <search className="filters" aria-label="Filters">
        <Typed
          label="Search"
          value={values.search}
          placeholder="Event, type or invoice"
          onChange={(to) => set("search", to)}
        />
        <Choice
          label="Status"
          value={values.status}
          options={optionsOf(STATUSES)}
          onChange={(to) => set("status", to)}
        />
        <Choice
          label="Type"
          value={values.type}
          options={types.map((type) => ({ value: type, label: type }))}
          onChange={(to) => set("type", to)}
        />
        <Choice
          label="Integration"
          value={values.integrationId}
          options={integrations.map(({ id, name }) => ({ value: id, label: name }))}
          onChange={(to) => set("integrationId", to)}
        />
        <Period values={values} set={set} />
        <Clear isAny={isAny} onClear={clear} />
      </search>
      <List
        label="Webhook events"
        columns={COLUMNS}
        list={list}
        href={(row) => `/webhook-events/${row.id}`}
        empty={
          isAny ? (
            <Empty title="No webhook event matches these filters." />
          ) : (
            <Empty title="Stripe has not posted anything yet.">
              <p>
                Check that the endpoint in Stripe has the webhook URL of your integration. The first event appears here.
              </p>
            </Empty>
          )
        }
      />
    </Page>
  );
}

const ReplayWebhookEvents = graphql(`
  mutation ReplayWebhookEvents($filter: WebhookEventFilter!, $dryRun: Boolean!) {
    replayWebhookEvents(filter: $filter, dryRun: $dryRun) {
      __typename
      ... on ReplayWebhookEventsSuccess {
        outcomes { webhookEvent { id type receivedAt } before after changes }
        remaining
      }
      ... on Problem { code message path }
    }
  }
`);

type Filter = VariablesOf<typeof ReplayWebhookEvents>["filter"];

interface Progress {
  tried: number;
  changed: string[];
  remaining: number;
  isDone: boolean;
}

/** Replays all events of the filter, after showing what that would change. */
function ReplayMany({ filter, isAny }: { filter: Filter; isAny: boolean }) {
  const { act, isPending } = useAct(ReplayWebhookEvents);
  const [isOpen, setOpen] = useState(false);
  const [progress, setProgress] = useState<Progress | null>(null);
  const [refusal, setRefusal] = useState<string | null>(null);

  const runs = useRef(0);
  const stop = useCallback(() => {
    runs.current += 1; // a running replay stops after its next answer
  }, []);
  useEffect(() => stop, [stop]);
  const close = () => {
    stop();
    setOpen(false);
  };
  const run = async (dryRun: boolean) => {
    stop();
    const own = runs.current;
    const progress: Progress = { tried: 0, changed: [], remaining: 0, isDone: false };
    let next: Filter = filter;
    setRefusal(null);
    for (;;) {
      const { done, refusal } = await act({ filter: next, dryRun });
      if (own !== runs.current) return;
      if (refusal) return setRefusal(refusal.message);
      progress.tried += done.outcomes.length;
      progress.remaining = done.remaining;
      progress.changed.push(...done.outcomes.flatMap((outcome) => outcome.changes));
      progress.isDone = !dryRun && done.remaining === 0;
      setProgress({ ...progress });
      const last = done.outcomes.at(-1);
      if (dryRun || done.remaining === 0 || !last) return;
      next = { ...filter, receivedAfter: last.webhookEvent.receivedAt };
    }
  };
  const begin = () => {
    setProgress(null);
    setOpen(true);
    void run(true);
  };
  return (
    <>
      <Button onPress={begin}>Replay {isAny ? "these" : "all"}</Button>
      <Dialog title="Replay webhook events" isOpen={isOpen} onClose={close}>
        <p className="hint">
          {filter && isAny ? "Events that match the filters" : "Events that are held, failed, unapplied or quarantined"}{" "}
          are tried again, the oldest first. Nothing is ever applied twice.
        </p>
        {refusal && <Alert>{refusal}</Alert>}
        {!progress && !refusal && <p role="status">Checking what would change …</p>}
        {progress && <ProgressReport progress={progress} isPending={isPending} />}
        <div className="actions">
          <Button onPress={close}>{progress?.isDone ? "Close" : "Cancel"}</Button>
          {!progress?.isDone && (
            <Button
              kind="primary"
              isPending={isPending}
              isDisabled={!progress || progress.tried === 0}
              onPress={() => run(false)}
            >
              Replay
            </Button>
          )}
        </div>
      </Dialog>
    </>
  );
}

const MAX_CHANGES_SHOWN = 20;

function ProgressReport({ progress, isPending }: { progress: Progress; isPending: boolean }) {
  const { tried, changed, remaining, isDone } = progress;
  const many = tried + remaining;
  return (
    <div role="status">
      {isDone ? (
        <p>
          {countOf(tried, "event")} tried again. {changed.length === 0 ? "Nothing has changed." : "Changes:"}
        </p>
      ) : isPending ? (
        <p>
          <progress value={tried} max={many} /> {tried} of {many}
        </p>
      ) : (
        <p>
          {many === 0 ? "There is nothing to replay." : `${countOf(many, "event")} would be tried again.`}{" "}
          {many > 0 && (changed.length === 0 ? "Nothing would change." : "Changes:")}
        </p>
      )}
      <ul className="changes">
        {changed.slice(0, MAX_CHANGES_SHOWN).map((change, place) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: sentences without an id, never moved
          <li key={place}>{change}</li>
        ))}
      </ul>
      {changed.length > MAX_CHANGES_SHOWN && <p>and {changed.length - MAX_CHANGES_SHOWN} more.</p>}
    </div>
  );
}
