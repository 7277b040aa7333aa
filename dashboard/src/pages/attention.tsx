import type { ReactNode } from "react";
import { Link } from "wouter";
import { wordsOf } from "../api/client";
import { graphql, type ResultOf } from "../api/graphql";
import { anything, useLive } from "../api/use-live";
import { AttentionCounts, attentionCount } from "../lib/attention";
import { Alert, Empty, Loading, Problem } from "../ui/feedback";
import { Page } from "../ui/page";
import { inWords, Money, Status, Time } from "../ui/values";

const AttentionQuery = graphql(
  `
    query Attention {
      attention { ...AttentionCounts }
      unapplied: payments(first: 20, order: DESC, filter: { toApply: true }) {
        nodes { id occurredAt amount { amount currency } unappliedReason { message } }
      }
      overpaid: payments(first: 20, order: DESC, filter: { overpaid: true }) {
        nodes { id occurredAt overpaid { amount currency } invoice { id number } }
      }
      disputed: payments(first: 20, order: DESC, filter: { disputed: true }) {
        nodes { id dispute { reason openedAt amount { amount currency } } invoice { id number } }
      }
      withoutLink: invoices(first: 20, order: DESC, filter: { paymentLinkFailed: true }) {
        nodes { id number paymentLink { problem { code message fix } } }
      }
      stripeIntegrations(first: 100) {
        nodes { id name health { problems { code message fix } } }
      }
      stuck: webhookEvents(first: 20, order: DESC, filter: { status: [HELD, FAILED] }) {
        nodes { id type status receivedAt reason { message } }
      }
    }
  `,
  [AttentionCounts],
);

type Attention = ResultOf<typeof AttentionQuery>;

/** Everything that needs a person's decision, each with a way to settle it. */
export default function AttentionPage() {
  const { data, error } = useLive(AttentionQuery, {}, anything);
  const needed = data ? attentionCount(data.attention) : null;
  return (
    <Page title="Needs attention">
      {error && <Alert>{wordsOf(error)}</Alert>}
      {!data && !error && <Loading />}
      {needed === 0 && (
        <Empty title="Nothing needs your attention.">
          <p>Payments, invoices and events that need your decision appear here.</p>
        </Empty>
      )}
      {data && <Sections data={data} />}
    </Page>
  );
}

function Sections({ data }: { data: Attention }) {
  const { attention, unapplied, overpaid, disputed, withoutLink, stuck } = data;
  const unhealthy = data.stripeIntegrations.nodes.filter(({ health }) => health.problems.length > 0);
  return (
    <>
      <Section
        title="Money that fits no invoice"
        count={attention.unappliedPayments}
        all="/payments?allocation=UNAPPLIED"
      >
        <ul className="lines">
          {unapplied.nodes.map(({ id, amount, occurredAt, unappliedReason }) => (
            <li key={id}>
              <Link href={`/payments/${id}`}>
                <Money value={amount} />
              </Link>
              <span className="hint">{unappliedReason?.message}</span>
              <Time at={occurredAt} ago />
            </li>
          ))}
        </ul>
        <p className="hint">Open a payment to apply it to an invoice, or refund it in Stripe.</p>
      </Section>
      <Section title="Overpaid" count={attention.overpaidPayments}>
        <ul className="lines">
          {overpaid.nodes.map(({ id, overpaid, invoice, occurredAt }) => (
            <li key={id}>
              <Link href={`/payments/${id}`}>
                <Money value={overpaid} /> too much
              </Link>
              {invoice && <Link href={`/invoices/${invoice.id}`}>{invoice.number}</Link>}
              <Time at={occurredAt} ago />
            </li>
          ))}
        </ul>
        <p className="hint">
          Refund the excess in Stripe. The payment leaves this list once Stripe reports the refund.
        </p>
      </Section>
      <Section title="Disputed" count={attention.openDisputes}>
        <ul className="lines">
          {disputed.nodes.map(({ id, dispute, invoice }) => (
            <li key={id}>
              <Link href={`/payments/${id}`}>{dispute ? <Money value={dispute.amount} /> : "A payment"}</Link>
              {invoice && <Link href={`/invoices/${invoice.id}`}>{invoice.number}</Link>}
              {dispute && <span className="hint">{inWords(dispute.reason)}</span>}
              {dispute && <Time at={dispute.openedAt} ago />}
            </li>
          ))}
        </ul>
        <p className="hint">Answer a dispute in Stripe before its evidence is due.</p>
      </Section>
      <Section title="Invoices without a payment link" count={attention.failedPaymentLinks}>
        {withoutLink.nodes.map(({ id, number, paymentLink }) => (
          <div key={id} className="attention-item">
            <Link href={`/invoices/${id}`}>{number}</Link>
            {paymentLink?.problem && <Problem problem={paymentLink.problem} />}
          </div>
        ))}
      </Section>
      <Section title="Integrations with a problem" count={unhealthy.length}>
        {unhealthy.map(({ id, name, health }) => (
          <div key={id} className="attention-item">
            <Link href={`/integrations/${id}`}>{name}</Link>
            {health.problems.map((problem) => (
              <Problem key={problem.code} problem={problem} />
            ))}
          </div>
        ))}
      </Section>
      <Section title="Webhook events that are not applied" count={attention.heldOrFailedWebhookEvents}>
        <ul className="lines">
          {stuck.nodes.map(({ id, type, status, reason, receivedAt }) => (
            <li key={id}>
              <Link href={`/webhook-events/${id}`}>{type ?? "Unknown event"}</Link>
              <Status value={status} />
              <span className="hint">{reason?.message}</span>
              <Time at={receivedAt} ago />
            </li>
          ))}
        </ul>
      </Section>
    </>
  );
}

interface SectionProps {
  title: string;
  count: number;
  /** The address of the whole list. */
  all?: string;
  children: ReactNode;
}

const SHOWN = 20;

function Section({ title, count, all, children }: SectionProps) {
  if (count === 0) return null;
  return (
    <section className="card" aria-label={title}>
      <div className="card-head">
        <h2>{title}</h2>
        <span className="status status-warn">{count}</span>
      </div>
      {children}
      {count > SHOWN && all && <Link href={all}>See all of them</Link>}
    </section>
  );
}
