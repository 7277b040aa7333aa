import type { ReactNode } from "react";
import { Button as AriaButton, type ButtonProps } from "react-aria-components";

interface Props extends Omit<ButtonProps, "isPending"> {
  kind?: "primary" | "plain" | "danger" | "quiet";
  /** The action is running: the button keeps the focus and can't be pressed again. */
  isPending?: boolean;
  children: ReactNode;
}

export function Button({ kind = "plain", isPending = false, type = "button", onPress, children, ...props }: Props) {
  return (
    <AriaButton
      {...props}
      type={isPending ? "button" : type}
      className={`button button-${kind}`}
      aria-busy={isPending}
      aria-disabled={isPending}
      {...(onPress && !isPending ? { onPress } : {})}
    >
      {children}
    </AriaButton>
  );
}
