import { useLocation } from "wouter";
import type { EventLine } from "../api/event";
import { graphql, type ResultOf, type VariablesOf } from "../api/graphql";
import { useEndless } from "../api/use-endless";
import { useLive } from "../api/use-live";
import { useMay } from "../api/viewer";
import { standingOfInvoice } from "../lib/standing";
import { Button } from "../ui/button";
import { Empty } from "../ui/feedback";
import { Choice, Clear, optionsOf, Period, startOf, Typed, useFilters } from "../ui/filters";
import { List } from "../ui/list";
import { isNewestFirst, OrderChoice, useOrder } from "../ui/order";
import { Page } from "../ui/page";
import { Totals } from "../ui/totals";
import { Day, Money, Status, Time } from "../ui/values";

export const InvoicesQuery = graphql(`
  query Invoices($first: Int!, $after: String, $filter: InvoiceFilter, $by: InvoiceOrder) {
    invoices(first: $first, after: $after, filter: $filter, orderBy: $by) {
      edges {
        cursor
        node {
          id
          number
          status
          isOverdue
          createdAt
          dueDate
          total { amount currency }
          amountRemaining { amount currency }
          customer { id name }
        }
      }
      pageInfo { hasNextPage }
    }
  }
`);

type Filter = NonNullable<VariablesOf<typeof InvoicesQuery>["filter"]>;

const InvoiceTotalsQuery = graphql(`
  query InvoiceTotals($filter: InvoiceFilter) {
    invoices(first: 1, filter: $filter) {
      totals {
        currency
        count
        precision
        total { amount currency }
        amountPaid { amount currency }
        open { amount currency }
      }
    }
  }
`);

export type InvoiceRow = ResultOf<typeof InvoicesQuery>["invoices"]["edges"][number]["node"];

const STATUSES = ["DRAFT", "OPEN", "PAID", "VOID", "UNCOLLECTIBLE"] as const;

export const INVOICE_COLUMNS = [
  { header: "Number", cell: (row: InvoiceRow) => row.number ?? "Draft", share: 1.5 },
  {
    header: "Status",
    cell: (row: InvoiceRow) => <Status value={standingOfInvoice(row)} />,
    share: 1.3,
  },
  {
    header: "Customer",
    by: "CUSTOMER",
    cell: (row: InvoiceRow) => <span className="clip">{row.customer.name}</span>,
    share: 2.5,
  },
  { header: "Due", by: "DUE_DATE", cell: (row: InvoiceRow) => row.dueDate && <Day on={row.dueDate} />, share: 1.4 },
  { header: "Created", by: "CREATED_AT", cell: (row: InvoiceRow) => <Time at={row.createdAt} ago />, share: 1.3 },
  { header: "Total", by: "TOTAL", cell: (row: InvoiceRow) => <Money value={row.total} />, isAmount: true, share: 1.5 },
];

const WAYS = [
  { field: "CREATED_AT", label: "Created", direction: "DESC" },
  { field: "CUSTOMER", label: "Customer", direction: "ASC" },
  { field: "DUE_DATE", label: "Due", direction: "ASC" },
  { field: "TOTAL", label: "Total", direction: "DESC" },
] as const;

const concerns = ({ invoice, type }: EventLine) =>
  invoice !== null || type === "INVOICE_DELETED" || type === "CUSTOMER_UPDATED";

/** The invoices that match the filter, in the order of the page's address. */
export function useInvoices(filter: Filter) {
  const ordered = useOrder<(typeof WAYS)[number]["field"]>(WAYS);
  const list = useEndless({
    query: InvoicesQuery,
    variables: { filter, by: ordered.order },
    connection: (data) => data.invoices,
    concerns,
    idIn: ({ invoice }) => invoice?.id,
    isNewestFirst: isNewestFirst(ordered.order),
  });
  return { list, ordered };
}

/** The totals of the invoices that match the filter. */
export function InvoiceTotals({ filter }: { filter: Filter }) {
  const { data } = useLive(InvoiceTotalsQuery, { filter }, concerns);
  const totals = (data?.invoices.totals ?? []).map(({ total, amountPaid, open, ...rest }) => ({
    ...rest,
    sums: [
      { label: "Total", value: total },
      { label: "Paid", value: amountPaid },
      { label: "Open", value: open },
    ],
  }));
  return <Totals label="Totals" nouns={["invoice", "invoices"]} totals={totals} />;
}

/** All invoices, updated live. */
export default function Invoices() {
  const { values, set, clear, isAny } = useFilters(["search", "status", "overdue", "from", "to"] as const);
  const filter = {
    search: values.search.trim() || null,
    status: values.status ? [values.status as InvoiceRow["status"]] : null,
    overdue: values.overdue ? values.overdue === "yes" : null,
    createdAfter: startOf(values.from),
    createdBefore: startOf(values.to, 1),
  };
  const { list, ordered } = useInvoices(filter);
  const [, go] = useLocation();
  const mayWrite = useMay("WRITE");
  const create = mayWrite && (
    <Button kind="primary" onPress={() => go("/invoices/new")}>
      New invoice
    </Button>
  );
  return (
    <Page title="Invoices" actions={create}>
      <search className="filters" aria-label="Filters">
        <Typed
          label="Search"
          value={values.search}
          placeholder="Number, customer or memo"
          onChange={(to) => set("search", to)}
        />
        <Choice
          label="Status"
          value={values.status}
          options={optionsOf(STATUSES)}
          onChange={(to) => set("status", to)}
        />
        <Choice
          label="Overdue"
          value={values.overdue}
          options={[
            { value: "yes", label: "Overdue" },
            { value: "no", label: "Not overdue" },
          ]}
          onChange={(to) => set("overdue", to)}
        />
        <Period values={values} set={set} />
        <OrderChoice ordered={ordered} />
        <Clear isAny={isAny} onClear={clear} />
      </search>
      <InvoiceTotals filter={filter} />
      <List
        label="Invoices"
        columns={INVOICE_COLUMNS}
        list={list}
        ordered={ordered}
        href={(row) => `/invoices/${row.id}`}
        empty={
          isAny ? (
            <Empty title="No invoice matches these filters." />
          ) : (
            <Empty title="There are no invoices yet.">
              <p>Create one and finalize it: it gets a Payment Link to send to your customer.</p>
              {create}
            </Empty>
          )
        }
      />
    </Page>
  );
}
