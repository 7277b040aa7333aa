import { Fragment, useState } from "react";
import type { Refusal } from "../api/use-act";
import { useMay } from "../api/viewer";
import { Button } from "./button";
import { Alert } from "./feedback";
import { Field } from "./field";
import { Form } from "./form";

interface Entry {
  key: string;
  value: string;
}

interface Props {
  entries: Entry[];
  /** Saves an entry, or removes it if its value is empty; returns why it was refused, or null. */
  onSave: (entry: Entry) => Promise<Refusal | null>;
  isPending: boolean;
}

/** The business's own data about a customer or an invoice. */
export function Metadata({ entries, onSave, isPending }: Props) {
  const [isAdding, setAdding] = useState(false);
  const [refusal, setRefusal] = useState<string | null>(null);
  const mayWrite = useMay("WRITE");
  if (!mayWrite && entries.length === 0) return null;
  const add = async (values: Record<string, string>) => {
    const refused = await onSave({ key: values["metadata.0.key"] ?? "", value: values["metadata.0.value"] ?? "" });
    if (!refused) setAdding(false);
    return refused;
  };
  const remove = async (key: string) => setRefusal((await onSave({ key, value: "" }))?.message ?? null);
  return (
    <section className="card" aria-labelledby="metadata">
      <div className="card-head">
        <h2 id="metadata">Metadata</h2>
        {mayWrite && !isAdding && (
          <div className="actions">
            <Button onPress={() => setAdding(true)}>Add entry</Button>
          </div>
        )}
      </div>
      {refusal && <Alert>{refusal}</Alert>}
      {entries.length > 0 ? (
        <dl className="facts">
          {entries.map(({ key, value }) => (
            <Fragment key={key}>
              <dt>{key}</dt>
              <dd>
                {value}{" "}
                {mayWrite && (
                  <Button kind="quiet" isPending={isPending} aria-label={`Remove ${key}`} onPress={() => remove(key)}>
                    Remove
                  </Button>
                )}
              </dd>
            </Fragment>
          ))}
        </dl>
      ) : (
        <p className="hint">Your own data about it, such as an order number.</p>
      )}
      {isAdding && (
        <Form onSubmit={add} fields={["metadata.0.key", "metadata.0.value"]} label="Add an entry">
          <Field label="Key" name="metadata.0.key" isRequired hint="An entry with this key is replaced." />
          <Field label="Value" name="metadata.0.value" isRequired />
          <div className="actions">
            <Button onPress={() => setAdding(false)}>Cancel</Button>
            <Button kind="primary" type="submit" isPending={isPending}>
              Save entry
            </Button>
          </div>
        </Form>
      )}
    </section>
  );
}
