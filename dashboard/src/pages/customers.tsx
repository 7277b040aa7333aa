import { useState } from "react";
import { useLocation } from "wouter";
import { graphql, type ResultOf } from "../api/graphql";
import { useEndless } from "../api/use-endless";
import { useMay } from "../api/viewer";
import { Button } from "../ui/button";
import { NewCustomer } from "../ui/customer-picker";
import { Empty } from "../ui/feedback";
import { Clear, Typed, useFilters } from "../ui/filters";
import { List } from "../ui/list";
import { isNewestFirst, OrderChoice, useOrder } from "../ui/order";
import { Page } from "../ui/page";
import { Time } from "../ui/values";

const CustomersQuery = graphql(`
  query Customers($first: Int!, $after: String, $search: String, $by: CustomerOrder) {
    customers(first: $first, after: $after, search: $search, orderBy: $by) {
      edges { cursor node { id name email externalId createdAt } }
      pageInfo { hasNextPage }
    }
  }
`);

type Row = ResultOf<typeof CustomersQuery>["customers"]["edges"][number]["node"];

const COLUMNS = [
  { header: "Name", by: "NAME", cell: (row: Row) => <span className="clip">{row.name}</span>, share: 2 },
  { header: "Email", cell: (row: Row) => <span className="clip">{row.email}</span>, share: 2.5 },
  {
    header: "External ID",
    cell: (row: Row) => row.externalId && <code className="clip">{row.externalId}</code>,
    share: 1.5,
  },
  { header: "Created", by: "CREATED_AT", cell: (row: Row) => <Time at={row.createdAt} ago />, share: 1 },
];

const WAYS = [
  { field: "CREATED_AT", label: "Created", direction: "DESC" },
  { field: "NAME", label: "Name", direction: "ASC" },
] as const;

/** All customers. */
export default function Customers() {
  const { values, set, clear, isAny } = useFilters(["search"] as const);
  const [isNew, setNew] = useState(false);
  const [, go] = useLocation();
  const mayWrite = useMay("WRITE");
  const ordered = useOrder<(typeof WAYS)[number]["field"]>(WAYS);
  const list = useEndless({
    query: CustomersQuery,
    variables: { search: values.search.trim() || null, by: ordered.order },
    connection: (data) => data.customers,
    concerns: ({ type }) => type.startsWith("CUSTOMER"),
    idIn: ({ customer }) => customer?.id,
    isNewestFirst: isNewestFirst(ordered.order),
  });
  const create = mayWrite && !isNew && (
    <Button kind="primary" onPress={() => setNew(true)}>
      New customer
    </Button>
  );
  return (
    <Page title="Customers" actions={create}>
      {isNew && <NewCustomer onMade={(id) => go(`/customers/${id}`)} onCancel={() => setNew(false)} />}
      <search className="filters" aria-label="Filters">
        <Typed
          label="Search"
          value={values.search}
          placeholder="Name, email or ID"
          onChange={(to) => set("search", to)}
        />
        <OrderChoice ordered={ordered} />
        <Clear isAny={isAny} onClear={clear} />
      </search>
      <List
        label="Customers"
        columns={COLUMNS}
        list={list}
        ordered={ordered}
        href={(row) => `/customers/${row.id}`}
        empty={
          isAny ? (
            <Empty title="No customer matches this search." />
          ) : (
            <Empty title="There are no customers yet.">
              <p>Your customers receive your invoices.</p>
              {create}
            </Empty>
          )
        }
      />
    </Page>
  );
}
