import { useState } from "react";
import { useLocation } from "wouter";
import { graphql, type ResultOf } from "../api/graphql";
import { useAct } from "../api/use-act";
import { about, useLive } from "../api/use-live";
import { useMay } from "../api/viewer";
import { Button } from "../ui/button";
import { Empty } from "../ui/feedback";
import { Field } from "../ui/field";
import { Form } from "../ui/form";
import { List } from "../ui/list";
import { Metadata } from "../ui/metadata";
import { Missing } from "../ui/missing";
import { OrderChoice } from "../ui/order";
import { Page } from "../ui/page";
import { Time } from "../ui/values";
import { INVOICE_COLUMNS, InvoiceTotals, useInvoices } from "./invoices";

const CustomerQuery = graphql(`
  query Customer($id: ID!) {
    customer(id: $id) { id name email externalId createdAt metadata { key value } }
  }
`);

type Customer = NonNullable<ResultOf<typeof CustomerQuery>["customer"]>;

/** One customer and their invoices. */
export default function CustomerPage({ id }: { id: string }) {
  const { data, error, refresh } = useLive(CustomerQuery, { id }, about(id));
  const [isEdited, setEdited] = useState(false);
  const [, go] = useLocation();
  const mayWrite = useMay("WRITE");
  const customer = data?.customer;
  const filter = { customerId: id };
  const { list, ordered } = useInvoices(filter);
  const back = { href: "/customers", label: "Customers" };
  if (!customer) {
    return <Missing title="Customer" noun="customer" back={back} isAnswered={data !== undefined} error={error} />;
  }
  const actions = mayWrite && !isEdited && (
    <>
      <Button onPress={() => setEdited(true)}>Edit</Button>
      <Button kind="primary" onPress={() => go(`/invoices/new?customerId=${id}`)}>
        New invoice
      </Button>
    </>
  );
  const saved = () => {
    setEdited(false);
    refresh();
  };
  return (
    <Page title={customer.name} back={back} actions={actions}>
      {isEdited ? (
        <Edit customer={customer} onDone={saved} onCancel={() => setEdited(false)} />
      ) : (
        <section className="card" aria-label="Facts">
          <dl className="facts">
            <dt>Email</dt>
            <dd>{customer.email}</dd>
            <dt>External ID</dt>
            <dd>{customer.externalId ? <code>{customer.externalId}</code> : "none"}</dd>
            <dt>ID</dt>
            <dd>
              <code>{customer.id}</code>
            </dd>
            <dt>Created</dt>
            <dd>
              <Time at={customer.createdAt} />
            </dd>
          </dl>
        </section>
      )}
      <CustomerMetadata customer={customer} onSaved={refresh} />
      <h2>Invoices</h2>
      <InvoiceTotals filter={filter} />
      <OrderChoice ordered={ordered} />
      <List
        label="Invoices"
        columns={INVOICE_COLUMNS}
        list={list}
        ordered={ordered}
        href={(row) => `/invoices/${row.id}`}
        empty={<Empty title="This customer has no invoices yet." />}
      />
    </Page>
  );
}

const UpdateCustomer = graphql(`
  mutation UpdateCustomer($input: UpdateCustomerInput!) {
    updateCustomer(input: $input) {
      __typename
      ... on UpdateCustomerSuccess { customer { id name } }
      ... on Problem { code message path }
    }
  }
`);

function CustomerMetadata({ customer, onSaved }: { customer: Customer; onSaved: () => void }) {
  const { act, isPending } = useAct(UpdateCustomer);
  const save = async (entry: { key: string; value: string }) => {
    const { refusal } = await act({ input: { id: customer.id, metadata: [entry] } });
    if (!refusal) onSaved();
    return refusal ?? null;
  };
  return <Metadata entries={customer.metadata} onSave={save} isPending={isPending} />;
}

function Edit({ customer, onDone, onCancel }: { customer: Customer; onDone: () => void; onCancel: () => void }) {
  const { act, isPending } = useAct(UpdateCustomer);
  const submit = async (values: Record<string, string>) => {
    const { refusal } = await act({
      input: {
        id: customer.id,
        name: values["name"] ?? "",
        email: values["email"] ?? "",
        externalId: values["externalId"] || null,
      },
    });
    if (!refusal) onDone();
    return refusal ?? null;
  };
  return (
    <section className="card" aria-label="Edit customer">
      <Form onSubmit={submit} fields={["name", "email", "externalId"]} label="Edit customer">
        <Field label="Name" name="name" isRequired defaultValue={customer.name} />
        <Field label="Email" name="email" type="email" isRequired defaultValue={customer.email} />
        <Field label="External ID" name="externalId" defaultValue={customer.externalId ?? ""} />
        <div className="actions">
          <Button onPress={onCancel}>Cancel</Button>
          <Button kind="primary" type="submit" isPending={isPending}>
            Save Changes
          </Button>
        </div>
      </Form>
    </section>
  );
}
