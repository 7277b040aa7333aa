import { useLocation } from "wouter";
import { graphql } from "../api/graphql";
import { useAct, useIdempotencyKey } from "../api/use-act";
import { Button } from "../ui/button";
import { Field } from "../ui/field";
import { Form } from "../ui/form";
import { Page } from "../ui/page";

const ConnectStripe = graphql(`
  mutation ConnectStripe($input: ConnectStripeInput!) {
    connectStripe(input: $input) {
      __typename
      ... on ConnectStripeSuccess { integration { id name webhookUrl } }
      ... on Problem { code message path }
    }
  }
`);

/** The form to connect a Stripe account. */
export default function Connect() {
  const [, go] = useLocation();
  const { act, isPending } = useAct(ConnectStripe);
  const withKey = useIdempotencyKey();
  const submit = async (values: Record<string, string>) => {
    const { done, refusal } = await act({
      input: withKey({
        name: values["name"] ?? "",
        secretKey: (values["secretKey"] ?? "").trim(),
        webhookSecret: values["webhookSecret"]?.trim() || null,
        registerWebhook: values["registerWebhook"] === "on",
      }),
    });
    if (refusal) return refusal;
    go(`/integrations/${done.integration.id}`);
    return null;
  };
  return (
    <Page title="Connect Stripe" back={{ href: "/integrations", label: "Integrations" }}>
      <Form onSubmit={submit} fields={["name", "secretKey", "webhookSecret"]} label="Connect Stripe">
        <Field label="Connection Name" name="name" isRequired hint="A friendly label, like Production Stripe." />
        <Field
          label="Secret Key"
          name="secretKey"
          type="password"
          autoComplete="off"
          isRequired
          placeholder="sk_…"
          hint="In Stripe: Developers → API keys. It is stored encrypted and never shown again."
        />
        <Field
          label="Webhook Secret"
          name="webhookSecret"
          type="password"
          autoComplete="off"
          placeholder="whsec_…"
          hint="Leave blank for now: you add it after setting up the webhook."
        />
        <label className="check">
          <input type="checkbox" name="registerWebhook" />
          <span>
            Add the webhook in Stripe for me
            <span className="hint">
              Fluxrate sets its URL, its events and its secret. Stripe must be able to reach this server.
            </span>
          </span>
        </label>
        <div className="actions">
          <Button onPress={() => go("/integrations")}>Cancel</Button>
          <Button kind="primary" type="submit" isPending={isPending}>
            Create Connection
          </Button>
        </div>
      </Form>
    </Page>
  );
}
