import { type FormEvent, type ReactNode, useState } from "react";
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
}

/** A form whose refusals stand beside the field that is meant. */
export function Form({ onSubmit, fields, children, label }: Props) {
  const [refusal, setRefusal] = useState<Refusal | null>(null);
  const isOfField = refusal?.field != null && fields.includes(refusal.field);
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const values = Object.fromEntries(new FormData(event.currentTarget)) as Record<string, string>;
    setRefusal(null);
    setRefusal(await onSubmit(values));
  };
  return (
    <AriaForm
      className="form"
      onSubmit={submit}
      validationErrors={refusal?.field != null && isOfField ? { [refusal.field]: refusal.message } : {}}
      {...(label ? { "aria-label": label } : {})}
    >
      {refusal && !isOfField && <Alert>{refusal.message}</Alert>}
      {children}
    </AriaForm>
  );
}
