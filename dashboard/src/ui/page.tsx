import type { ReactNode } from "react";
import { Link } from "wouter";

interface PageProps {
  title: string;
  /** The page's buttons. */
  actions?: ReactNode;
  children: ReactNode;
  back?: { href: string; label: string };
}

/** A page with its title. */
export function Page({ title, actions, children, back }: PageProps) {
  return (
    <article className="page">
      <title>{`${title} – Fluxrate`}</title>
      {back && (
        <Link href={back.href} className="back">
          {back.label}
        </Link>
      )}
      <div className="page-head">
        <h1>{title}</h1>
        {actions && <div className="actions">{actions}</div>}
      </div>
      {children}
    </article>
  );
}
