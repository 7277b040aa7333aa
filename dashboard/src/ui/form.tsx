import { type FormEvent, type ReactNode, useEffect, useMemo, useState } from "react";
import { Form as AriaForm } from "react-aria-components";
import type { Refusal } from "../api/use-act";
import { Alert } from "./feedback";

interface Props {
  /** Sends the form; answers why it was refused, or null. */
  onSubmit: (values: Record<string, string>) => Promise<Refusal | null>;
  /** The names of the fields: a refusal of another one is told above the form. */
  fields: string[];
  children: ReactNode;
  label?: string;
  /** What stands outside the form and belongs to it: once it changes, the refusal is no longer true. */
  mendedBy?: string | null;
}

/** A form whose refusals stand beside the field that is meant. */
export function Form({ onSubmit, fields, children, label, mendedBy }: Props) {
  const [refusal, setRefusal] = useState<Refusal | null>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the change itself is what counts.
  useEffect(() => setRefusal(null), [mendedBy]);
  const field = refusal?.field && fields.includes(refusal.field) ? refusal.field : null;
  // One object for one refusal: a new one would make the field invalid again after it was mended.
  const errors = useMemo(() => (field && refusal ? { [field]: refusal.message } : {}), [field, refusal]);
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const values = Object.fromEntries(new FormData(event.currentTarget)) as Record<string, string>;
    setRefusal(null);
    setRefusal(await onSubmit(values));
  };
  return (
    <AriaForm className="form" onSubmit={submit} validationErrors={errors} {...(label ? { "aria-label": label } : {})}>
      {/* What is changed is no longer what was refused. */}
      <div className="form-body" onInput={() => setRefusal(null)}>
        {refusal && !field && <Alert>{refusal.message}</Alert>}
        {children}
      </div>
    </AriaForm>
  );
}
