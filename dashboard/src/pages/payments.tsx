import type { EventLine } from "../api/event";
import { graphql, type ResultOf, type VariablesOf } from "../api/graphql";
import { useEndless } from "../api/use-endless";
import { useLive } from "../api/use-live";
import { standingOfPayment } from "../lib/standing";
import { Empty } from "../ui/feedback";
import { Choice, Clear, optionsOf, Period, startOf, useFilters } from "../ui/filters";
import { List } from "../ui/list";
import { isNewestFirst, OrderChoice, useOrder } from "../ui/order";
import { Page } from "../ui/page";
import { Totals } from "../ui/totals";
import { Money, Status, Time } from "../ui/values";

const PaymentsQuery = graphql(`
  query Payments($first: Int!, $after: String, $filter: PaymentFilter, $by: PaymentOrder) {
    payments(first: $first, after: $after, filter: $filter, orderBy: $by) {
      edges {
        cursor
        node {
          id
          status
          allocation
          occurredAt
          providerPaymentId
          amount { amount currency }
          amountRefunded { amount currency minorUnits }
          dispute { status }
          invoice { id number }
          customer { id name }
        }
      }
      pageInfo { hasNextPage }
    }
  }
`);

const PaymentTotalsQuery = graphql(`
  query PaymentTotals($filter: PaymentFilter) {
    payments(first: 1, filter: $filter) {
      totals {
        currency
        count
        precision
        received { amount currency }
        refunded { amount currency }
        net { amount currency }
      }
    }
  }
`);

type Filter = NonNullable<VariablesOf<typeof PaymentsQuery>["filter"]>;
type Row = ResultOf<typeof PaymentsQuery>["payments"]["edges"][number]["node"];

const STATUSES = ["SUCCEEDED", "PENDING", "FAILED"] as const;

const COLUMNS = [
  { header: "Payment", cell: (row: Row) => <code className="clip">{row.providerPaymentId}</code>, share: 2.2 },
  { header: "Status", cell: (row: Row) => <Status value={standingOfPayment(row)} />, share: 1.4 },
  { header: "Invoice", cell: (row: Row) => row.invoice?.number ?? "none", share: 1.6 },
  { header: "Customer", cell: (row: Row) => <span className="clip">{row.customer?.name}</span>, share: 2 },
  { header: "When", by: "OCCURRED_AT", cell: (row: Row) => <Time at={row.occurredAt} />, share: 2.1 },
  { header: "Amount", by: "AMOUNT", cell: (row: Row) => <Money value={row.amount} />, isAmount: true, share: 1.5 },
];

const WAYS = [
  { field: "CREATED_AT", label: "First reported", direction: "DESC" },
  { field: "OCCURRED_AT", label: "When", direction: "DESC" },
  { field: "AMOUNT", label: "Amount", direction: "DESC" },
] as const;

const concerns = ({ payment, type }: EventLine) => payment !== null || type === "CUSTOMER_UPDATED";

function PaymentTotals({ filter }: { filter: Filter }) {
  const { data } = useLive(PaymentTotalsQuery, { filter }, concerns);
  const totals = (data?.payments.totals ?? []).map(({ received, refunded, net, ...rest }) => ({
    ...rest,
    sums: [
      { label: "Received", value: received },
      { label: "Refunded", value: refunded },
      { label: "Net", value: net },
    ],
  }));
  return <Totals label="Totals" nouns={["payment", "payments"]} totals={totals} />;
}

/** All payments and failed attempts, updated live. */
export default function Payments() {
  const { values, set, clear, isAny } = useFilters(["status", "allocation", "from", "to"] as const);
  const filter = {
    status: values.status ? [values.status as Row["status"]] : null,
    allocation: (values.allocation || null) as Row["allocation"] | null,
    occurredAfter: startOf(values.from),
    occurredBefore: startOf(values.to, 1),
  };
  const ordered = useOrder<(typeof WAYS)[number]["field"]>(WAYS);
  const list = useEndless({
    query: PaymentsQuery,
    variables: { filter, by: ordered.order },
    connection: (data) => data.payments,
    concerns,
    idIn: ({ payment }) => payment?.id,
    isNewestFirst: isNewestFirst(ordered.order),
  });
  return (
    <Page title="Payments">
      <search className="filters" aria-label="Filters">
        <Choice
          label="Status"
          value={values.status}
          options={optionsOf(STATUSES)}
          onChange={(to) => set("status", to)}
        />
        <Choice
          label="Applied"
          value={values.allocation}
          options={[
            { value: "APPLIED", label: "To an invoice" },
            { value: "UNAPPLIED", label: "To none" },
          ]}
          onChange={(to) => set("allocation", to)}
        />
        <Period values={values} set={set} />
        <OrderChoice ordered={ordered} />
        <Clear isAny={isAny} onClear={clear} />
      </search>
      <PaymentTotals filter={filter} />
      <List
        label="Payments"
        columns={COLUMNS}
        list={list}
        ordered={ordered}
        href={(row) => `/payments/${row.id}`}
        empty={
          <Empty title={isAny ? "No payment matches these filters." : "There are no payments yet."}>
            {!isAny && <p>A payment appears here as soon as Stripe reports it.</p>}
          </Empty>
        }
      />
    </Page>
  );
}
