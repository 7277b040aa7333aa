import { Suspense, useEffect, useRef } from "react";
import { Link, Redirect, Route, Switch, useLocation, useRoute } from "wouter";
import { hasGraphiql } from "./api/session";
import { useLiveStatus } from "./api/use-live";
import { useMay, useViewer } from "./api/viewer";
import { Boundary } from "./ui/boundary";
import { Button } from "./ui/button";
import { Empty, Loading } from "./ui/feedback";
import { PAGE, useFocus } from "./ui/focus";
import { page } from "./ui/lazy-page";
import { Page } from "./ui/page";
import { inWords } from "./ui/values";

const Overview = page(() => import("./pages/overview"));
const Integrations = page(() => import("./pages/integrations"));
const Connect = page(() => import("./pages/connect"));
const Integration = page(() => import("./pages/integration"));
const WebhookEvents = page(() => import("./pages/webhook-events"));
const WebhookEvent = page(() => import("./pages/webhook-event"));
const Invoices = page(() => import("./pages/invoices"));
const NewInvoice = page(() => import("./pages/new-invoice"));
const Invoice = page(() => import("./pages/invoice"));
const Customers = page(() => import("./pages/customers"));
const Customer = page(() => import("./pages/customer"));
const Payments = page(() => import("./pages/payments"));
const Payment = page(() => import("./pages/payment"));
const Attention = page(() => import("./pages/attention"));
const Settings = page(() => import("./pages/settings"));

/** The pages by the first part of their address. */
const PAGES = {
  "": [Overview],
  invoices: [Invoices, Invoice, NewInvoice],
  payments: [Payments, Payment],
  customers: [Customers, Customer],
  attention: [Attention],
  integrations: [Integrations, Integration, Connect],
  "webhook-events": [WebhookEvents, WebhookEvent],
  settings: [Settings],
};

/** Begins to load the first page before it is known whether anybody is signed in. */
export function preloadHere(): void {
  const [, part = ""] = location.pathname.split("/");
  for (const each of PAGES[part as keyof typeof PAGES] ?? []) each.preload();
}

/** Loads all other pages while nothing happens, so that they open at once, even if the server is updated meanwhile. */
function preloadAll(): void {
  for (const each of Object.values(PAGES).flat()) each.preload();
}

const QUIET_AFTER_MS = 2_000;

const LINKS = [
  { href: "/", label: "Overview" },
  { href: "/invoices", label: "Invoices" },
  { href: "/payments", label: "Payments" },
  { href: "/customers", label: "Customers" },
  { href: "/attention", label: "Needs attention" },
  { href: "/integrations", label: "Integrations" },
  { href: "/webhook-events", label: "Webhook Events", isBelow: true },
  { href: "/settings", label: "Settings" },
];

/** The frame of every page: its navigation, whether the page is live, and the page, which may begin with the focus. */
export function Shell({ hasFocus, onLeave }: { hasFocus: boolean; onLeave: () => void }) {
  const { workspace, apiKey } = useViewer();
  const [path] = useLocation();
  useFocus(path, hasFocus);
  useEffect(() => {
    const timer = setTimeout(preloadAll, QUIET_AFTER_MS);
    return () => clearTimeout(timer);
  }, []);
  return (
    <div className="shell">
      <a className="skip" href={`#${PAGE}`}>
        Skip to the page
      </a>
      <header className="side">
        <div className="brand">
          <strong>Fluxrate</strong>
          <span className="workspace">
            {workspace.name} <span className={`mode mode-${workspace.mode}`}>{inWords(workspace.mode)}</span>
          </span>
        </div>
        <nav aria-label="Pages">
          <ul>
            {LINKS.map((link) => (
              <NavLink key={link.href} {...link} />
            ))}
          </ul>
        </nav>
        <div className="side-foot">
          <LiveBadge />
          <span className="who" title={apiKey.preview}>
            {apiKey.name}
          </span>
          {hasGraphiql() && (
            <a className="elsewhere" href="/graphiql">
              GraphiQL
            </a>
          )}
          <Button kind="quiet" onPress={onLeave}>
            Sign out
          </Button>
        </div>
      </header>
      <main id={PAGE} tabIndex={-1}>
        <Boundary key={path}>
          <Suspense fallback={<Loading />}>
            <Pages />
          </Suspense>
        </Boundary>
      </main>
    </div>
  );
}

function NavLink({ href, label, isBelow = false }: { href: string; label: string; isBelow?: boolean }) {
  const [isHere] = useRoute(href === "/" ? "/" : `${href}/*?`);
  const item = useRef<HTMLLIElement>(null);
  useEffect(() => {
    if (isHere) item.current?.scrollIntoView({ block: "nearest", inline: "center" }); // on a phone the links scroll
  }, [isHere]);
  return (
    <li ref={item} className={isBelow ? "below" : undefined}>
      <Link href={href} aria-current={isHere ? "page" : undefined}>
        {label}
      </Link>
    </li>
  );
}

const LABELS = { connecting: "Connecting …", live: "Live", reconnecting: "Reconnecting …" };

/** Whether the page is live, so that old data is never taken for current data. */
function LiveBadge() {
  const status = useLiveStatus();
  return (
    <span role="status" className={`live live-${status}`}>
      {LABELS[status]}
    </span>
  );
}

function Pages() {
  const mayAdmin = useMay("ADMIN");
  const mayWrite = useMay("WRITE");
  return (
    <Switch>
      <Route path="/" component={Overview} />
      <Route path="/integrations" component={Integrations} />
      {mayAdmin && <Route path="/integrations/connect" component={Connect} />}
      <Route path="/integrations/:id">{({ id }) => <Integration key={id} id={id} />}</Route>
      <Route path="/webhook-events" component={WebhookEvents} />
      <Route path="/webhook-events/:id">{({ id }) => <WebhookEvent key={id} id={id} />}</Route>
      <Route path="/invoices" component={Invoices} />
      {mayWrite && <Route path="/invoices/new" component={NewInvoice} />}
      <Route path="/invoices/:id">{({ id }) => <Invoice key={id} id={id} />}</Route>
      <Route path="/customers" component={Customers} />
      <Route path="/customers/:id">{({ id }) => <Customer key={id} id={id} />}</Route>
      <Route path="/payments" component={Payments} />
      <Route path="/payments/:id">{({ id }) => <Payment key={id} id={id} />}</Route>
      <Route path="/attention" component={Attention} />
      <Route path="/settings" component={Settings} />
      <Route path="/index.html">
        <Redirect to="/" />
      </Route>
      <Route>
        <Page title="Page not found">
          <Empty title="There is no page at this address.">
            <Link href="/">Go to the overview</Link>
          </Empty>
        </Page>
      </Route>
    </Switch>
  );
}
