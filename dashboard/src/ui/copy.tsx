import { useState } from "react";
import { Button } from "./button";

const TOLD_FOR_MS = 2_000;

/** A text with a button that copies it to the clipboard. */
export function Copy({ text, label }: { text: string; label: string }) {
  const [isCopied, setCopied] = useState(false);
  const copy = async () => {
    if (!(await toClipboard(text))) return;
    setCopied(true);
    setTimeout(() => setCopied(false), TOLD_FOR_MS);
  };
  return (
    <div className="copy">
      <input
        className="copy-text"
        aria-label={label}
        readOnly
        value={text}
        onFocus={(event) => event.target.select()}
      />
      <Button onPress={copy}>{isCopied ? "Copied" : "Copy"}</Button>
    </div>
  );
}

/** The clipboard API exists only on https and localhost. */
async function toClipboard(text: string): Promise<boolean> {
  if (navigator.clipboard) {
    return navigator.clipboard.writeText(text).then(
      () => true,
      () => false,
    );
  }
  const area = document.body.appendChild(document.createElement("textarea"));
  area.value = text;
  area.select();
  const isCopied = document.execCommand("copy");
  area.remove();
  return isCopied;
}
