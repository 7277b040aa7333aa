import { useLocation } from "wouter";
import { graphql, type ResultOf } from "../api/graphql";
import { useEndless } from "../api/use-endless";
import { useMay } from "../api/viewer";
import { Button } from "../ui/button";
import { Empty } from "../ui/feedback";
import { Choice, Clear, optionsOf, Period, startOf, Typed, useFilters } from "../ui/filters";
import { List } from "../ui/list";
import { Page } from "../ui/page";
import { Day, Money, Status, Time } from "../ui/values";

export const InvoicesQuery = graphql(`
  query Invoices($first: Int!, $after: String, $filter: InvoiceFilter) {
    invoices(first: $first, after: $after, filter: $filter, order: DESC) {
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

export type InvoiceRow = ResultOf<typeof InvoicesQuery>["invoices"]["edges"][number]["node"];

const STATUSES = ["DRAFT", "OPEN", "PAID", "VOID", "UNCOLLECTIBLE"] as const;

export const INVOICE_COLUMNS = [
  { header: "Number", cell: (row: InvoiceRow) => row.number ?? "Draft", share: 1.5 },
  {
    header: "Status",
    cell: (row: InvoiceRow) => <Status value={row.isOverdue ? "OVERDUE" : row.status} />,
    share: 1.3,
  },
  { header: "Customer", cell: (row: InvoiceRow) => <span className="clip">{row.customer.name}</span>, share: 2.5 },
  { header: "Due", cell: (row: InvoiceRow) => row.dueDate && <Day on={row.dueDate} />, share: 1.4 },
  { header: "Created", cell: (row: InvoiceRow) => <Time at={row.createdAt} ago />, share: 1.3 },
  { header: "Total", cell: (row: InvoiceRow) => <Money value={row.total} />, isAmount: true, share: 1.5 },
];

/** All invoices, newest first, as they change. */
export default function Invoices() {
  const { values, set, clear, isAny } = useFilters(["search", "status", "overdue", "from", "to"] as const);
  const filter = {
    search: values.search.trim() || null,
    status: values.status ? [values.status as InvoiceRow["status"]] : null,
    overdue: values.overdue ? values.overdue === "yes" : null,
    createdAfter: startOf(values.from),
    createdBefore: startOf(values.to, 1),
  };
  const list = useEndless({
    query: InvoicesQuery,
    variables: { filter },
    connection: (data) => data.invoices,
    concerns: ({ invoice, type }) => invoice !== null || type === "INVOICE_DELETED" || type === "CUSTOMER_UPDATED",
    idIn: ({ invoice }) => invoice?.id,
  });
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
        <Clear isAny={isAny} onClear={clear} />
      </search>
      <List
        label="Invoices"
        columns={INVOICE_COLUMNS}
        list={list}
        href={(row) => `/invoices/${row.id}`}
        empty={
          isAny ? (
            <Empty title="No invoice is like that." />
          ) : (
            <Empty title="There are no invoices yet.">
              <p>Make one, and finalize it: it gets a Payment Link that you send to your customer.</p>
              {create}
            </Empty>
          )
        }
      />
    </Page>
  );
}
