import { useState } from "react";
import { Menu, MenuItem, MenuTrigger, Popover } from "react-aria-components";
import { Link, useLocation } from "wouter";
import { wordsOf } from "../api/client";
import { graphql, type ResultOf } from "../api/graphql";
import { useAct } from "../api/use-act";
import { useLive } from "../api/use-live";
import { useMay } from "../api/viewer";
import { standingOfIntegration } from "../lib/standing";
import { Button } from "../ui/button";
import { Dialog } from "../ui/dialog";
import { Alert, Empty, Loading, Problem } from "../ui/feedback";
import { Page } from "../ui/page";
import { inWords, Status, Time } from "../ui/values";

const IntegrationsQuery = graphql(`
  query Integrations {
    stripeIntegrations(first: 100) {
      nodes {
        id
        name
        mode
        status
        isActive
        secretKeyPreview
        stripeAccountId
        lastEventAt
        health { problems { code message fix } }
      }
    }
  }
`);

type Integration = ResultOf<typeof IntegrationsQuery>["stripeIntegrations"]["nodes"][number];

/** A card to connect Stripe, and one for each connected account. */
export default function Integrations() {
  const { data, error } = useLive(
    IntegrationsQuery,
    {},
    ({ integration, type }) => integration !== null || type.startsWith("WEBHOOK_EVENT"),
  );
  const [, go] = useLocation();
  const mayAdmin = useMay("ADMIN");
  return (
    <Page title="Integrations" actions={<Link href="/webhook-events">See all webhook events</Link>}>
      <section className="card provider" aria-labelledby="stripe">
        <div>
          <h2 id="stripe">Stripe</h2>
          <p>
            Each invoice that you finalize gets a Payment Link. When it is paid, Stripe posts a webhook, and the invoice
            becomes PAID.
          </p>
        </div>
        {mayAdmin ? (
          <Button kind="primary" onPress={() => go("/integrations/connect")}>
            Connect
          </Button>
        ) : (
          <p className="hint">To connect an account, sign in with an API key that has the scope ADMIN.</p>
        )}
      </section>
      {error && <Alert>{wordsOf(error)}</Alert>}
      {!data && !error && <Loading />}
      {data?.stripeIntegrations.nodes.length === 0 && (
        <Empty title="No Stripe account is connected yet.">
          <p>Connect one, and customers can pay your invoices by Payment Link. To try it, a test account is enough.</p>
        </Empty>
      )}
      {data?.stripeIntegrations.nodes.map((integration) => (
        <IntegrationCard key={integration.id} integration={integration} />
      ))}
    </Page>
  );
}

function IntegrationCard({ integration }: { integration: Integration }) {
  const [, go] = useLocation();
  const mayAdmin = useMay("ADMIN");
  const [isAsked, setAsked] = useState(false);
  const { id, name, mode, secretKeyPreview, lastEventAt, health } = integration;
  return (
    <section className="card" aria-labelledby={id}>
      <div className="card-head">
        <h2 id={id}>
          <Link href={`/integrations/${id}`}>{name}</Link>
        </h2>
        <Status value={standingOfIntegration(integration)} />
        <span className={`mode mode-${mode}`}>{inWords(mode)}</span>
        <div className="actions">
          <Button aria-describedby={id} onPress={() => go(`/integrations/${id}`)}>
            Manage
          </Button>
          {mayAdmin && (
            <MenuTrigger>
              <Button kind="quiet" aria-label="More actions" aria-describedby={id}>
                ···
              </Button>
              <Popover className="popover" placement="bottom end">
                <Menu className="menu">
                  <MenuItem className="menu-item" onAction={() => go(`/webhook-events?integrationId=${id}`)}>
                    Webhook events
                  </MenuItem>
                  <MenuItem className="menu-item menu-danger" onAction={() => setAsked(true)}>
                    Disconnect
                  </MenuItem>
                </Menu>
              </Popover>
            </MenuTrigger>
          )}
        </div>
      </div>
      <dl className="facts">
        <dt>Secret key</dt>
        <dd>
          <code>{secretKeyPreview}</code>
        </dd>
        <dt>Last event</dt>
        <dd>{lastEventAt ? <Time at={lastEventAt} ago /> : "none yet"}</dd>
      </dl>
      {health.problems.map((problem) => (
        <Problem key={problem.code} problem={problem} />
      ))}
      <Disconnect integration={integration} isOpen={isAsked} onClose={() => setAsked(false)} />
    </section>
  );
}

const DisconnectStripe = graphql(`
  mutation DisconnectStripe($id: ID!) {
    disconnectStripe(id: $id) {
      __typename
      ... on DisconnectStripeSuccess { integration { id status } }
      ... on Problem { code message path }
    }
  }
`);

const SwitchOff = graphql(`
  mutation SwitchOff($id: ID!) {
    updateStripeIntegration(input: { id: $id, isActive: false }) {
      __typename
      ... on UpdateStripeIntegrationSuccess { integration { id status isActive } }
      ... on Problem { code message path }
    }
  }
`);

interface DisconnectProps {
  integration: { id: string; name: string; isActive: boolean };
  isOpen: boolean;
  onClose: () => void;
}

function Disconnect({ integration, isOpen, onClose }: DisconnectProps) {
  const remove = useAct(DisconnectStripe);
  const switchOff = useAct(SwitchOff);
  const [refusal, setRefusal] = useState<string | null>(null);
  const run = async (act: typeof remove.act | typeof switchOff.act) => {
    const outcome = await act({ id: integration.id });
    setRefusal(outcome.refusal?.message ?? null);
    if (outcome.done) onClose();
  };
  return (
    <Dialog title={`Disconnect ${integration.name}?`} isOpen={isOpen} onClose={onClose} role="alertdialog">
      {refusal && <Alert>{refusal}</Alert>}
      <p>
        <strong>Remove entirely</strong> deletes the integration's secrets and webhook URL. Payments through links that
        are still open then go unnoticed. The history stays.
      </p>
      {integration.isActive && (
        <p>
          <strong>Disable for now</strong> keeps both. Events that Stripe sends meanwhile are stored, and applied once
          the integration is active again.
        </p>
      )}
      <div className="actions">
        <Button onPress={onClose}>Cancel</Button>
        {integration.isActive && (
          <Button isPending={switchOff.isPending} onPress={() => run(switchOff.act)}>
            Disable for now
          </Button>
        )}
        <Button kind="danger" isPending={remove.isPending} onPress={() => run(remove.act)}>
          Remove entirely
        </Button>
      </div>
    </Dialog>
  );
}
