import { useState } from "react";
import { useLocation } from "wouter";
import { graphql } from "../api/graphql";
import { newKey, type Refusal, useAct, useIdempotencyKey } from "../api/use-act";
import { nothing, useLive } from "../api/use-live";
import { lineAmount, toMajor } from "../lib/decimal";
import { amountIn } from "../lib/format";
import { Button } from "../ui/button";
import { CustomerPicker } from "../ui/customer-picker";
import { Field } from "../ui/field";
import { Form } from "../ui/form";
import { Page } from "../ui/page";

const CurrenciesQuery = graphql(`
  query Currencies {
    currencies { code exponent }
  }
`);

const CreateInvoice = graphql(`
  mutation CreateInvoice($input: CreateInvoiceInput!) {
    createInvoice(input: $input) {
      __typename
      ... on CreateInvoiceSuccess { invoice { id } }
      ... on Problem { code message path }
    }
  }
`);

interface Line {
  key: string;
  description: string;
  quantity: string;
  unitAmount: string;
}

const emptyLine = (): Line => ({ key: newKey(), description: "", quantity: "1", unitAmount: "" });

/** The form for a draft: customer, currency, lines. Its total is exact while you type. */
export default function NewInvoice() {
  const [, go] = useLocation();
  const { data } = useLive(CurrenciesQuery, {}, nothing);
  const { act, isPending } = useAct(CreateInvoice);
  const withKey = useIdempotencyKey();
  const [customerId, setCustomerId] = useState(new URLSearchParams(location.search).get("customerId"));
  const [isMakingCustomer, setMakingCustomer] = useState(false);
  const [currency, setCurrency] = useState("USD");
  const [lines, setLines] = useState<Line[]>([emptyLine()]);
  const exponent = data?.currencies.find(({ code }) => code === currency)?.exponent ?? 2;

  const change = (key: string, part: Partial<Line>) =>
    setLines(lines.map((line) => (line.key === key ? { ...line, ...part } : line)));
  const submit = async (values: Record<string, string>): Promise<Refusal | null> => {
    if (!customerId) return { message: "Choose a customer, or create one.", field: null };
    const { done, refusal } = await act({
      input: withKey({
        customerId,
        currency,
        dueDate: values["dueDate"] || null,
        memo: values["memo"] || null,
        lineItems: lines.map(({ description, quantity, unitAmount }) => ({ description, quantity, unitAmount })),
      }),
    });
    if (refusal) return refusal;
    go(`/invoices/${done.invoice.id}`);
    return null;
  };
  const fields = lines.flatMap((_, place) =>
    ["description", "quantity", "unitAmount"].map((part) => `lineItems.${place}.${part}`),
  );
  return (
    <Page title="New invoice" back={{ href: "/invoices", label: "Invoices" }}>
      <CustomerPicker customerId={customerId} onPick={setCustomerId} onPending={setMakingCustomer} />
      <Form onSubmit={submit} fields={[...fields, "dueDate", "memo"]} mendedBy={customerId} label="New invoice">
        <label className="field">
          <span className="label">Currency</span>
          <select value={currency} onChange={(event) => setCurrency(event.target.value)}>
            {(data?.currencies ?? [{ code: "USD" }]).map(({ code }) => (
              <option key={code}>{code}</option>
            ))}
          </select>
        </label>
        <fieldset className="line-items">
          <legend>Line items</legend>
          {lines.map((line, place) => (
            <LineFields
              key={line.key}
              line={line}
              place={place}
              currency={currency}
              exponent={exponent}
              onChange={(part) => change(line.key, part)}
              onRemove={lines.length > 1 ? () => setLines(lines.filter(({ key }) => key !== line.key)) : null}
            />
          ))}
          <Button onPress={() => setLines([...lines, emptyLine()])}>Add line</Button>
        </fieldset>
        <Total lines={lines} currency={currency} exponent={exponent} />
        <Field label="Due date" name="dueDate" type="date" />
        <Field label="Memo" name="memo" hint="For your own team: your customer doesn't see it." />
        <div className="actions">
          <Button onPress={() => go("/invoices")}>Cancel</Button>
          <Button kind="primary" type="submit" isPending={isPending || isMakingCustomer}>
            Create draft
          </Button>
        </div>
      </Form>
    </Page>
  );
}

interface LineProps {
  line: Line;
  place: number;
  currency: string;
  exponent: number;
  onChange: (part: Partial<Line>) => void;
  onRemove: (() => void) | null;
}

function LineFields({ line, place, currency, exponent, onChange, onRemove }: LineProps) {
  const amount = lineAmount(line.quantity, line.unitAmount, exponent);
  const name = (part: string) => `lineItems.${place}.${part}`;
  return (
    <div className="line-item">
      <Field
        label="Description"
        name={name("description")}
        isRequired
        value={line.description}
        onChange={(description) => onChange({ description })}
      />
      <Field
        label="Quantity"
        name={name("quantity")}
        isRequired
        inputMode="decimal"
        value={line.quantity}
        onChange={(quantity) => onChange({ quantity })}
      />
      <Field
        label="Unit amount"
        name={name("unitAmount")}
        isRequired
        inputMode="decimal"
        value={line.unitAmount}
        onChange={(unitAmount) => onChange({ unitAmount })}
      />
      <output className="line-amount" aria-label={`Amount of line ${place + 1}`}>
        {amount === null ? "–" : amountIn({ amount: toMajor(amount, exponent), currency })}
      </output>
      {onRemove && (
        <Button kind="quiet" aria-label={`Remove line ${place + 1}`} onPress={onRemove}>
          ×
        </Button>
      )}
    </div>
  );
}

function Total({ lines, currency, exponent }: { lines: Line[]; currency: string; exponent: number }) {
  const amounts = lines.map((line) => lineAmount(line.quantity, line.unitAmount, exponent));
  const total = amounts.reduce<bigint>((sum, amount) => sum + (amount ?? 0n), 0n);
  const isWhole = amounts.every((amount) => amount !== null);
  return (
    <p className="total">
      Total{" "}
      <output aria-label="Total">{isWhole ? amountIn({ amount: toMajor(total, exponent), currency }) : "–"}</output>
    </p>
  );
}
