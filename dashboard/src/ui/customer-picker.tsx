import { useState } from "react";
import { ComboBox, Input, Label, ListBox, ListBoxItem, Popover } from "react-aria-components";
import { graphql } from "../api/graphql";
import { useAct, useIdempotencyKey } from "../api/use-act";
import { useLive } from "../api/use-live";
import { Button } from "./button";
import { Field } from "./field";
import { Form } from "./form";

const CustomerChoices = graphql(`
  query CustomerChoices($search: String) {
    customers(first: 20, search: $search, order: DESC) { nodes { id name email } }
  }
`);

const PickedCustomer = graphql(`
  query PickedCustomer($id: ID!) {
    customer(id: $id) { id name email }
  }
`);

const CreateCustomer = graphql(`
  mutation CreateCustomer($input: CreateCustomerInput!) {
    createCustomer(input: $input) {
      __typename
      ... on CreateCustomerSuccess { customer { id name } }
      ... on Problem { code message path }
    }
  }
`);

interface Props {
  customerId: string | null;
  onPick: (id: string | null) => void;
  /** Whether a customer is being created: the form can't be sent meanwhile. */
  onPending: (isPending: boolean) => void;
}

/** Picks the customer of an invoice by search, or creates one. */
export function CustomerPicker({ customerId, onPick, onPending }: Props) {
  const [isNew, setNew] = useState(false);
  const [wasUsed, setUsed] = useState(false); // the part that replaces the used one takes over its focus
  const pick = (id: string | null) => {
    setUsed(true);
    setNew(false);
    onPick(id);
  };
  if (customerId) return <Picked id={customerId} hasFocus={wasUsed} onChange={() => pick(null)} />;
  if (isNew) return <NewCustomer onMade={pick} onPending={onPending} onCancel={() => pick(null)} />;
  return <Search hasFocus={wasUsed} onPick={pick} onNew={() => setNew(true)} />;
}

function Picked({ id, hasFocus, onChange }: { id: string; hasFocus: boolean; onChange: () => void }) {
  const { data } = useLive(PickedCustomer, { id }, ({ customer }) => customer?.id === id);
  return (
    <div className="field">
      <span className="label">Customer</span>
      <p className="picked">
        <span>
          <strong>{data?.customer?.name}</strong> {data?.customer?.email}
        </span>
        <Button kind="quiet" autoFocus={hasFocus} onPress={onChange}>
          Change
        </Button>
      </p>
    </div>
  );
}

interface SearchProps {
  hasFocus: boolean;
  onPick: (id: string) => void;
  onNew: () => void;
}

function Search({ hasFocus, onPick, onNew }: SearchProps) {
  const [typed, setTyped] = useState("");
  const { data } = useLive(CustomerChoices, { search: typed.trim() || null }, ({ customer }) => customer !== null);
  return (
    <div className="with-button">
      <ComboBox
        className="field"
        items={data?.customers.nodes ?? []}
        inputValue={typed}
        onInputChange={setTyped}
        onSelectionChange={(key) => key !== null && onPick(String(key))}
        autoFocus={hasFocus}
        menuTrigger="focus"
        allowsEmptyCollection
      >
        <Label>Customer</Label>
        <Input placeholder="Name or email" />
        <Popover className="popover">
          <ListBox className="menu" renderEmptyState={() => <p className="hint">No customer matches this search.</p>}>
            {(customer: { id: string; name: string; email: string }) => (
              <ListBoxItem className="menu-item" id={customer.id} textValue={customer.name}>
                <strong>{customer.name}</strong> <span className="hint">{customer.email}</span>
              </ListBoxItem>
            )}
          </ListBox>
        </Popover>
      </ComboBox>
      <Button onPress={onNew}>New customer</Button>
    </div>
  );
}

interface NewProps {
  onMade: (id: string) => void;
  onCancel: () => void;
  onPending?: (isPending: boolean) => void;
}

/** The form to create a customer. */
export function NewCustomer({ onMade, onCancel, onPending }: NewProps) {
  const { act, isPending } = useAct(CreateCustomer);
  const withKey = useIdempotencyKey();
  const submit = async (values: Record<string, string>) => {
    onPending?.(true);
    const { done, refusal } = await act({
      input: withKey({
        name: values["name"] ?? "",
        email: values["email"] ?? "",
        externalId: values["externalId"] || null,
      }),
    });
    onPending?.(false);
    if (refusal) return refusal;
    onMade(done.customer.id);
    return null;
  };
  return (
    <section className="card" aria-label="New customer">
      <Form onSubmit={submit} fields={["name", "email", "externalId"]} label="New customer">
        <Field label="Name" name="name" isRequired autoFocus />
        <Field label="Email" name="email" type="email" isRequired />
        <Field label="External ID" name="externalId" hint="Your own ID for this customer, if you have one." />
        <div className="actions">
          <Button onPress={onCancel}>Cancel</Button>
          <Button kind="primary" type="submit" isPending={isPending}>
            Create customer
          </Button>
        </div>
      </Form>
    </section>
  );
}
