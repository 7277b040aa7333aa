import { useState } from "react";
import { Link, useLocation } from "wouter";
import { EventLine } from "../api/event";
import { graphql, type ResultOf } from "../api/graphql";
import { useAct } from "../api/use-act";
import { aboutOrCustomer, useLive } from "../api/use-live";
import { useMay } from "../api/viewer";
import { standingOfInvoice } from "../lib/standing";
import { Button } from "../ui/button";
import { Copy } from "../ui/copy";
import { Dialog } from "../ui/dialog";
import { Alert, Problem } from "../ui/feedback";
import { Field } from "../ui/field";
import { Form } from "../ui/form";
import { Metadata } from "../ui/metadata";
import { Missing } from "../ui/missing";
import { Page } from "../ui/page";
import { Timeline } from "../ui/timeline";
import { Day, Money, Status, Time } from "../ui/values";

const InvoiceQuery = graphql(
  `
    query Invoice($id: ID!) {
      invoice(id: $id) {
        id
        number
        status
        isOverdue
        memo
        dueDate
        createdAt
        finalizedAt
        paidAt
        total { amount currency }
        amountPaid { amount currency }
        amountRemaining { amount currency }
        amountOverpaid { amount currency minorUnits }
        amountRefunded { amount currency minorUnits }
        amountPaidOutOfBand { amount currency minorUnits }
        customer { id name email }
        metadata { key value }
        lineItems { description quantity unitAmount amount { amount currency } }
        paymentLink { status url openSessions problem { code message fix } amount { amount currency } }
        payments(first: 50) { nodes { id status allocation occurredAt amount { amount currency } failureMessage } }
        timeline(last: 100) { nodes { ...EventLine } }
      }
    }
  `,
  [EventLine],
);

type Invoice = NonNullable<ResultOf<typeof InvoiceQuery>["invoice"]>;

/** One invoice: its amounts, its payment link, its payments and its timeline. */
export default function InvoicePage({ id }: { id: string }) {
  const { data, error, refresh } = useLive(InvoiceQuery, { id }, aboutOrCustomer(id));
  const invoice = data?.invoice;
  const mayWrite = useMay("WRITE");
  const back = { href: "/invoices", label: "Invoices" };
  if (!invoice) {
    return <Missing title="Invoice" noun="invoice" back={back} isAnswered={data !== undefined} error={error} />;
  }
  return (
    <Page title={invoice.number ?? "Draft invoice"} back={back} actions={mayWrite && <Actions invoice={invoice} />}>
      <div className="card-head">
        <Status value={standingOfInvoice({ ...invoice, isOverdue: false })} />
        {invoice.isOverdue && <Status value="OVERDUE" />}
        <Link href={`/customers/${invoice.customer.id}`}>{invoice.customer.name}</Link>
      </div>
      <Amounts invoice={invoice} />
      <PaymentLink invoice={invoice} />
      <Lines invoice={invoice} />
      <Payments invoice={invoice} />
      <InvoiceMetadata invoice={invoice} onSaved={refresh} />
      <section className="card" aria-labelledby="timeline">
        <h2 id="timeline">Timeline</h2>
        <Timeline events={invoice.timeline.nodes} />
      </section>
    </Page>
  );
}

function Amounts({ invoice }: { invoice: Invoice }) {
  const more = [
    { label: "Overpaid", value: invoice.amountOverpaid },
    { label: "Refunded", value: invoice.amountRefunded },
    { label: "Paid out of band", value: invoice.amountPaidOutOfBand },
  ].filter(({ value }) => BigInt(value.minorUnits as string) !== 0n);
  return (
    <section className="card" aria-label="Amounts">
      <dl className="figures">
        <div>
          <dt>Total</dt>
          <dd>
            <Money value={invoice.total} />
          </dd>
        </div>
        <div>
          <dt>Paid</dt>
          <dd>
            <Money value={invoice.amountPaid} />
          </dd>
        </div>
        <div>
          <dt>Remaining</dt>
          <dd>
            <Money value={invoice.amountRemaining} />
          </dd>
        </div>
        {more.map(({ label, value }) => (
          <div key={label}>
            <dt>{label}</dt>
            <dd>
              <Money value={value} />
            </dd>
          </div>
        ))}
      </dl>
      <dl className="facts">
        <dt>Customer</dt>
        <dd>{invoice.customer.email}</dd>
        <dt>Due</dt>
        <dd>{invoice.dueDate ? <Day on={invoice.dueDate} /> : "no due date"}</dd>
        <dt>Created</dt>
        <dd>
          <Time at={invoice.createdAt} />
        </dd>
        {invoice.finalizedAt && (
          <>
            <dt>Finalized</dt>
            <dd>
              <Time at={invoice.finalizedAt} />
            </dd>
          </>
        )}
        {invoice.paidAt && (
          <>
            <dt>Paid</dt>
            <dd>
              <Time at={invoice.paidAt} />
            </dd>
          </>
        )}
        {invoice.memo && (
          <>
            <dt>Memo</dt>
            <dd>{invoice.memo}</dd>
          </>
        )}
      </dl>
    </section>
  );
}

const CreatePaymentLink = graphql(`
  mutation CreatePaymentLink($id: ID!) {
    createPaymentLink(invoiceId: $id) {
      __typename
      ... on CreatePaymentLinkSuccess { invoice { id status } }
      ... on Problem { code message path }
    }
  }
`);

/** The payment link. */
function PaymentLink({ invoice }: { invoice: Invoice }) {
  const { act, isPending } = useAct(CreatePaymentLink);
  const [refusal, setRefusal] = useState<string | null>(null);
  const mayWrite = useMay("WRITE");
  const { paymentLink, status } = invoice;
  if (status === "DRAFT" || (!paymentLink && status !== "OPEN")) return null;
  const isPayable = paymentLink?.status === "ACTIVE" && paymentLink.url;
  const canMake =
    mayWrite && status === "OPEN" && paymentLink?.status !== "ACTIVE" && paymentLink?.status !== "PENDING";
  return (
    <section className="card" aria-labelledby="link">
      <div className="card-head">
        <h2 id="link">Payment link</h2>
        {paymentLink && <Status value={paymentLink.status} />}
        {canMake && (
          <div className="actions">
            <Button
              isPending={isPending}
              onPress={async () => setRefusal((await act({ id: invoice.id })).refusal?.message ?? null)}
            >
              Create payment link
            </Button>
          </div>
        )}
      </div>
      {refusal && <Alert>{refusal}</Alert>}
      {!paymentLink && <p className="hint">No integration was active when it was finalized.</p>}
      {paymentLink?.status === "PENDING" && <p role="status">It is being created at Stripe …</p>}
      {paymentLink?.problem && <Problem problem={paymentLink.problem} />}
      {isPayable && (
        <div className="link-row">
          <Copy text={paymentLink.url ?? ""} label="Payment link URL" />
          <a className="button button-plain" href={paymentLink.url ?? ""} target="_blank" rel="noreferrer">
            Open
          </a>
        </div>
      )}
      {status !== "OPEN" && paymentLink?.openSessions === "CLOSING" && (
        <p className="hint">Checkout pages that customers still have open are being closed.</p>
      )}
    </section>
  );
}

function Lines({ invoice }: { invoice: Invoice }) {
  return (
    <section className="card" aria-labelledby="lines">
      <h2 id="lines">Line items</h2>
      <div className="scroll-x">
        <table>
          <thead>
            <tr>
              <th scope="col">Description</th>
              <th scope="col" className="amount">
                Quantity
              </th>
              <th scope="col" className="amount">
                Unit amount
              </th>
              <th scope="col" className="amount">
                Amount
              </th>
            </tr>
          </thead>
          <tbody>
            {invoice.lineItems.map((line, place) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: lines have no id, and are replaced as a whole
              <tr key={place}>
                <td>{line.description}</td>
                <td className="amount">{line.quantity}</td>
                <td className="amount">
                  <Money value={{ ...line.amount, amount: line.unitAmount }} like={line.amount.amount} />
                </td>
                <td className="amount">
                  <Money value={line.amount} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Payments({ invoice }: { invoice: Invoice }) {
  if (invoice.payments.nodes.length === 0) return null;
  return (
    <section className="card" aria-labelledby="payments">
      <h2 id="payments">Payments</h2>
      <ul className="lines">
        {invoice.payments.nodes.map((payment) => (
          <li key={payment.id}>
            <Link href={`/payments/${payment.id}`}>
              <Money value={payment.amount} />
            </Link>
            <Status value={payment.status} />
            <span className="hint">{payment.failureMessage}</span>
            <Time at={payment.occurredAt} />
          </li>
        ))}
      </ul>
    </section>
  );
}

const UpdateInvoice = graphql(`
  mutation UpdateInvoice($input: UpdateInvoiceInput!) {
    updateInvoice(input: $input) {
      __typename
      ... on UpdateInvoiceSuccess { invoice { id } }
      ... on Problem { code message path }
    }
  }
`);

function InvoiceMetadata({ invoice, onSaved }: { invoice: Invoice; onSaved: () => void }) {
  const { act, isPending } = useAct(UpdateInvoice);
  const save = async (entry: { key: string; value: string }) => {
    const { refusal } = await act({ input: { id: invoice.id, metadata: [entry] } });
    if (!refusal) onSaved();
    return refusal ?? null;
  };
  return <Metadata entries={invoice.metadata} onSave={save} isPending={isPending} />;
}

const FinalizeInvoice = graphql(`
  mutation FinalizeInvoice($id: ID!) {
    finalizeInvoice(id: $id) {
      __typename
      ... on FinalizeInvoiceSuccess { invoice { id status } }
      ... on Problem { code message path }
    }
  }
`);

const DeleteInvoice = graphql(`
  mutation DeleteInvoice($id: ID!) {
    deleteInvoice(id: $id) {
      __typename
      ... on DeleteInvoiceSuccess { deletedId }
      ... on Problem { code message path }
    }
  }
`);

const MarkInvoicePaid = graphql(`
  mutation MarkInvoicePaid($id: ID!, $note: String) {
    markInvoicePaid(id: $id, note: $note) {
      __typename
      ... on MarkInvoicePaidSuccess { invoice { id status } }
      ... on Problem { code message path }
    }
  }
`);

const VoidInvoice = graphql(`
  mutation VoidInvoice($id: ID!, $note: String) {
    voidInvoice(id: $id, note: $note) {
      __typename
      ... on VoidInvoiceSuccess { invoice { id status } }
      ... on Problem { code message path }
    }
  }
`);

const MarkInvoiceUncollectible = graphql(`
  mutation MarkInvoiceUncollectible($id: ID!, $note: String) {
    markInvoiceUncollectible(id: $id, note: $note) {
      __typename
      ... on MarkInvoiceUncollectibleSuccess { invoice { id status } }
      ... on Problem { code message path }
    }
  }
`);

type Ending = "paid" | "void" | "uncollectible";

const ENDINGS: Record<Ending, { label: string; title: string; what: string; isGrave: boolean }> = {
  paid: {
    label: "Mark paid",
    title: "Mark this invoice paid?",
    what: "The remaining amount is recorded as paid by hand, such as in cash or by bank transfer. The payment link is closed.",
    isGrave: false,
  },
  uncollectible: {
    label: "Mark uncollectible",
    title: "Mark this invoice uncollectible?",
    what: "The invoice is written off. A later payment still makes it paid.",
    isGrave: true,
  },
  void: {
    label: "Void",
    title: "Void this invoice?",
    what: "This can't be undone. The payment link is closed, and a later payment will be unapplied.",
    isGrave: true,
  },
};

/** The actions that the invoice's status allows. */
function Actions({ invoice }: { invoice: Invoice }) {
  const { id, status } = invoice;
  const [, go] = useLocation();
  const [ending, setEnding] = useState<Ending | null>(null);
  const [refusal, setRefusal] = useState<string | null>(null);
  const finalize = useAct(FinalizeInvoice);
  const discard = useAct(DeleteInvoice);
  const paid = useAct(MarkInvoicePaid);
  const voided = useAct(VoidInvoice);
  const uncollectible = useAct(MarkInvoiceUncollectible);
  const acts = { paid, void: voided, uncollectible };
  const open: Ending[] =
    status === "OPEN" ? ["paid", "uncollectible", "void"] : status === "UNCOLLECTIBLE" ? ["paid", "void"] : [];
  const finish = async ({ note }: Record<string, string>) => {
    if (!ending) return null;
    const outcome = await acts[ending].act({ id, note: note || null });
    if (outcome.refusal) return outcome.refusal;
    setEnding(null);
    return null;
  };
  const remove = async () => {
    const { refusal } = await discard.act({ id });
    setRefusal(refusal?.message ?? null);
    if (!refusal) go("/invoices");
  };
  return (
    <>
      {refusal && <Alert>{refusal}</Alert>}
      {status === "DRAFT" && (
        <>
          <Button isPending={discard.isPending} onPress={remove}>
            Delete draft
          </Button>
          <Button
            kind="primary"
            isPending={finalize.isPending}
            onPress={async () => setRefusal((await finalize.act({ id })).refusal?.message ?? null)}
          >
            Finalize
          </Button>
        </>
      )}
      {open.map((each) => (
        <Button key={each} onPress={() => setEnding(each)}>
          {ENDINGS[each].label}
        </Button>
      ))}
      {ending && (
        <Dialog title={ENDINGS[ending].title} isOpen onClose={() => setEnding(null)} role="alertdialog">
          <p>{ENDINGS[ending].what}</p>
          <Form onSubmit={finish} fields={["note"]}>
            <Field label="Note" name="note" hint="Shown in the timeline." />
            <div className="actions">
              <Button onPress={() => setEnding(null)}>Cancel</Button>
              <Button
                kind={ENDINGS[ending].isGrave ? "danger" : "primary"}
                type="submit"
                isPending={acts[ending].isPending}
              >
                {ENDINGS[ending].label}
              </Button>
            </div>
          </Form>
        </Dialog>
      )}
    </>
  );
}
