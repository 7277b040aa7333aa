import { useState } from "react";
import { Link } from "wouter";
import { graphql } from "../api/graphql";
import { useAct } from "../api/use-act";
import { aboutOrCustomer, useLive } from "../api/use-live";
import { useMay } from "../api/viewer";
import { standingOfPayment } from "../lib/standing";
import { Button } from "../ui/button";
import { Alert, Problem } from "../ui/feedback";
import { Missing } from "../ui/missing";
import { Page } from "../ui/page";
import { inWords, Money, Status, Time } from "../ui/values";

const PaymentQuery = graphql(`
  query Payment($id: ID!) {
    payment(id: $id) {
      id
      status
      allocation
      providerPaymentId
      occurredAt
      failureCode
      failureMessage
      amount { amount currency }
      amountRefunded { amount currency minorUnits }
      overpaid { amount currency minorUnits }
      presentment { amount currency }
      unappliedReason { code message fix }
      disputes { status reason openedAt closedAt amount { amount currency } }
      invoice { id number status }
      customer { id name }
      integration { id name }
    }
  }
`);

/** One payment: its invoice, its refunds and disputes, and its history. */
export default function PaymentPage({ id }: { id: string }) {
  const { data, error, refresh } = useLive(PaymentQuery, { id }, aboutOrCustomer(id));
  const payment = data?.payment;
  const back = { href: "/payments", label: "Payments" };
  if (!payment) {
    return <Missing title="Payment" noun="payment" back={back} isAnswered={data !== undefined} error={error} />;
  }
  const isUnapplied = payment.status === "SUCCEEDED" && payment.allocation === "UNAPPLIED";
  return (
    <Page title="Payment" back={back}>
      <div className="card-head">
        <strong className="amount-big">
          <Money value={payment.amount} />
        </strong>
        <Status value={standingOfPayment(payment)} />
      </div>
      {payment.unappliedReason && <Problem problem={payment.unappliedReason} />}
      {isUnapplied && <Apply id={id} currency={payment.amount.currency} onDone={refresh} />}
      {payment.failureMessage && (
        <Alert>
          {payment.failureMessage} {payment.failureCode && <code>{payment.failureCode}</code>}
        </Alert>
      )}
      <section className="card" aria-label="Facts">
        <dl className="facts">
          <dt>Invoice</dt>
          <dd>
            {payment.invoice ? (
              <>
                <Link href={`/invoices/${payment.invoice.id}`}>{payment.invoice.number ?? "Draft"}</Link>{" "}
                <Status value={payment.invoice.status} />
              </>
            ) : (
              "none"
            )}
          </dd>
          <dt>Customer</dt>
          <dd>
            {payment.customer ? (
              <Link href={`/customers/${payment.customer.id}`}>{payment.customer.name}</Link>
            ) : (
              "none"
            )}
          </dd>
          <dt>Integration</dt>
          <dd>
            {payment.integration ? (
              <Link href={`/integrations/${payment.integration.id}`}>{payment.integration.name}</Link>
            ) : (
              "none"
            )}
          </dd>
          <dt>At Stripe</dt>
          <dd>
            <code>{payment.providerPaymentId}</code>
          </dd>
          <dt>When</dt>
          <dd>
            <Time at={payment.occurredAt} />
          </dd>
          {payment.presentment && (
            <>
              <dt>Customer saw</dt>
              <dd>
                <Money value={payment.presentment} />
              </dd>
            </>
          )}
          {BigInt(payment.amountRefunded.minorUnits as string) > 0n && (
            <>
              <dt>Refunded</dt>
              <dd>
                <Money value={payment.amountRefunded} />
              </dd>
            </>
          )}
          {BigInt(payment.overpaid.minorUnits as string) > 0n && (
            <>
              <dt>Overpaid</dt>
              <dd>
                <Money value={payment.overpaid} />: you can refund it in Stripe
              </dd>
            </>
          )}
        </dl>
      </section>
      {payment.disputes.length > 0 && (
        <section className="card" aria-labelledby="disputes">
          <h2 id="disputes">Disputes</h2>
          <ul className="lines">
            {payment.disputes.map((dispute) => (
              <li key={dispute.openedAt}>
                <Money value={dispute.amount} />
                <span>{inWords(dispute.status)}</span>
                <span className="hint">{inWords(dispute.reason)}</span>
                <Time at={dispute.openedAt} />
              </li>
            ))}
          </ul>
        </section>
      )}
    </Page>
  );
}

const OpenInvoices = graphql(`
  query OpenInvoices($currency: String!) {
    invoices(first: 100, order: DESC, filter: { status: [OPEN, UNCOLLECTIBLE], currency: $currency }) {
      nodes { id number amountRemaining { amount currency } customer { name } }
    }
  }
`);

const ApplyPayment = graphql(`
  mutation ApplyPayment($id: ID!, $invoiceId: ID!) {
    applyPayment(paymentId: $id, invoiceId: $invoiceId) {
      __typename
      ... on ApplyPaymentSuccess { payment { id allocation } invoice { id status } }
      ... on Problem { code message path }
    }
  }
`);

/** Applies an unapplied payment to the invoice that a person picks. */
function Apply({ id, currency, onDone }: { id: string; currency: string; onDone: () => void }) {
  const { data } = useLive(OpenInvoices, { currency }, ({ invoice }) => invoice !== null);
  const { act, isPending } = useAct(ApplyPayment);
  const [invoiceId, setInvoiceId] = useState("");
  const [refusal, setRefusal] = useState<string | null>(null);
  if (!useMay("WRITE")) return null;
  const apply = async () => {
    const outcome = await act({ id, invoiceId });
    setRefusal(outcome.refusal?.message ?? null);
    if (outcome.done) onDone();
  };
  const invoices = data?.invoices.nodes ?? [];
  return (
    <section className="card" aria-labelledby="apply">
      <h2 id="apply">Apply it to an invoice</h2>
      {refusal && <Alert>{refusal}</Alert>}
      {data && invoices.length === 0 ? (
        <p className="hint">No open invoice is in {currency}. Create one, or refund the payment in Stripe.</p>
      ) : (
        <div className="with-button">
          <label className="field">
            <span className="label">Invoice</span>
            <select value={invoiceId} onChange={(event) => setInvoiceId(event.target.value)}>
              <option value="">Choose one</option>
              {invoices.map((invoice) => (
                <option key={invoice.id} value={invoice.id}>
                  {invoice.number} – {invoice.customer.name} – {invoice.amountRemaining.amount} {currency} remain
                </option>
              ))}
            </select>
          </label>
          <Button kind="primary" isPending={isPending} isDisabled={!invoiceId} onPress={apply}>
            Apply
          </Button>
        </div>
      )}
    </section>
  );
}
