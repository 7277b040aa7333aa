import type { ReactNode } from "react";
import { Button as AriaButton, type ButtonProps } from "react-aria-components";

interface Props extends ButtonProps {
  kind?: "primary" | "plain" | "danger" | "quiet";
  children: ReactNode;
}

/** A button; it says that it is at work while `isPending`. */
export function Button({ kind = "plain", children, ...props }: Props) {
  return (
    <AriaButton {...props} className={`button button-${kind}`}>
      {children}
    </AriaButton>
  );
}
