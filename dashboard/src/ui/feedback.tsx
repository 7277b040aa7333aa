import type { ReactNode } from "react";
import { inOurWords } from "../lib/wording";

/** An error message, which screen readers read out at once. */
export const Alert = ({ children }: { children: ReactNode }) => (
  <div role="alert" className="alert">
    {children}
  </div>
);

/** A message for an empty list, with what to do. */
export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <p className="empty-title">{title}</p>
      {children}
    </div>
  );
}

export const Loading = () => (
  <p className="loading" role="status">
    Loading …
  </p>
);

interface Diagnosis {
  code: string;
  message: string;
  fix: string;
}

/** A problem and its fix. */
export const Problem = ({ problem }: { problem: Diagnosis }) => (
  <div className="problem">
    <p className="problem-message">{inOurWords(problem.message)}</p>
    <p className="problem-fix">{inOurWords(problem.fix)}</p>
  </div>
);
