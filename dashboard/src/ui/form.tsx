import { type FormEvent, type ReactNode, useEffect, useMemo, useState } from "react";
import { Form as AriaForm } from "react-aria-components";
import type { Refusal } from "../api/use-act";
import { Alert } from "./feedback";

interface Props {
  /** Sends the form; returns why it was refused, or null. */
  onSubmit: (values: Record<string, string>) => Promise<Refusal | null>;
  /** The names of the fields: a refusal of any other input is shown above the form. */
  fields: string[];
  children: ReactNode;
  label?: string;
  /** Input outside the form that belongs to it: when it changes, the refusal no longer applies. */
  mendedBy?: string | null;
}

/** A form that shows a refusal beside the field at fault. */
export function Form({ onSubmit, fields, children, label, mendedBy }: Props) {
  const [refusal, setRefusal] = useState<Refusal | null>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the change itself is what counts.
  useEffect(() => setRefusal(null), [mendedBy]);
  const field = refusal?.field && fields.includes(refusal.field) ? refusal.field : null;
  // Keep the same object for one refusal: a new one would mark the field as invalid again after it was fixed.
  const errors = useMemo(() => (field && refusal ? { [field]: refusal.message } : {}), [field, refusal]);
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const values = Object.fromEntries(new FormData(event.currentTarget)) as Record<string, string>;
    setRefusal(null);
    setRefusal(await onSubmit(values));
  };
  return (
    <AriaForm className="form" onSubmit={submit} validationErrors={errors} {...(label ? { "aria-label": label } : {})}>
      {/* A change of the form clears the refusal. */}
      <div className="form-body" onInput={() => setRefusal(null)}>
        {refusal && !field && <Alert>{refusal.message}</Alert>}
        {children}
      </div>
    </AriaForm>
  );
}
