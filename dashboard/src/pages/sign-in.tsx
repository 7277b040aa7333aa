import { signIn } from "../api/session";
import { Button } from "../ui/button";
import { Alert } from "../ui/feedback";
import { Field } from "../ui/field";
import { Form } from "../ui/form";

/** The sign-in form: exchanges an API key for a session. */
export function SignIn({ because, onSignedIn }: { because: string | null; onSignedIn: () => void }) {
  const submit = async ({ apiKey }: Record<string, string>) => {
    const message = await signIn((apiKey ?? "").trim());
    if (message === null) onSignedIn();
    return message === null ? null : { message, field: "apiKey" };
  };
  return (
    <main className="gate">
      <title>Sign in – Fluxrate</title>
      <div className="gate-card">
        <h1>Fluxrate</h1>
        <p className="lead">Was this invoice paid? Sign in to see it live.</p>
        {because && <Alert>{because}</Alert>}
        <Form onSubmit={submit} fields={["apiKey"]} label="Sign in">
          <Field
            label="API key"
            name="apiKey"
            type="password"
            autoComplete="off"
            isRequired
            autoFocus
            placeholder="flx_…"
            hint="The first start printed one. Create another with: fluxrate key create --name NAME"
          />
          <Button kind="primary" type="submit">
            Sign in
          </Button>
        </Form>
      </div>
    </main>
  );
}
