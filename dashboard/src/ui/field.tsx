import { FieldError, Input, Label, Text, TextField, type TextFieldProps } from "react-aria-components";

interface Props extends TextFieldProps {
  label: string;
  hint?: string;
  placeholder?: string;
}

/** A text field with its label, a hint, and the server's refusal. */
export function Field({ label, hint, placeholder, ...props }: Props) {
  return (
    <TextField {...props} className="field">
      <Label>{label}</Label>
      <Input {...(placeholder ? { placeholder } : {})} />
      {hint && (
        <Text slot="description" className="hint">
          {hint}
        </Text>
      )}
      <FieldError className="field-error" />
    </TextField>
  );
}
