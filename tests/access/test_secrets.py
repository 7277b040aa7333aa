"""Secrets are told to nobody."""

from tests.access.town import Api, Town, settle_in
from tests.world import documents


def test_no_secret_is_ever_told(town: Town) -> None:
    """Given in the right place or a wrong one, understood or not, in use or replaced."""
    own = settle_in(town, "discreet")
    given = town.secret

    for wrong in (
        {"name": "Stripe", "secretKey": given("whsec_inTheWrongField123")},
        {"name": "Stripe", "secretKey": given("sk_live_ofTheOtherMode123")},
        {"name": "Stripe", "secretKey": given("sk_test_invalid_atStripe123")},
        {"name": "Stripe", "secretKey": given("pk_test_publishable123")},
        {"name": "", "secretKey": given("sk_test_withoutName_123")},
        {"name": "Stripe", "secretKey": given("sk_test_acme_00112233"), "webhookSecret": given("sk_test_asWebhook123")},
        {"nam": "Stripe", "secretKey": given("sk_test_misspelt_123456")},
        {"secretKey": given("sk_test_missing_123456")},
        {"name": "Stripe", "secretKey": [given("sk_test_inAList_123456")]},
        {"name": "Stripe", "secretKey": given("rk_test_restricted_123"), "webhookSecret": 4242424242},
    ):
        own.api.execute(documents.CONNECT, {"input": wrong})
    for replaced in ({"webhookSecret": given("whsec_theNextOne12345")}, {"secretKey": given("sk_test_discreet_next1")}):
        own.api.ask(documents.UPDATE_INTEGRATION, input={"id": own.integration, **replaced})
    for literal in ("sk_test_inline_1234567", "whsec_inline12345678", "flx_test_inline0123456789012345678901234567"):
        own.api.execute(
            f'mutation {{ connectStripe(input: {{name: "S", secretKey: {given(literal)}}}) {{ __typename }} }}'
        )
        own.api.execute(f'{{ node(id: "{literal}") {{ id }} {literal} }}')
        own.api.execute(f'query ($id: ID! = {{a: "{literal}"}}) {{ node(id: $id) {{ {literal} }} ')
        own.api.http.get("/graphql", params={"query": f'{{ invoice(id: "{literal}") {{ id }} }}'})
        own.api.http.post("/graphql", content=literal, headers={"content-type": "application/json"})
        own.api.http.get(f"/{literal}")
        town.api(None).http.post("/graphql", json={"query": literal}, headers={"Authorization": f"Bearer {literal}"})
    for token in [*town.tokens, given("aTokenThatNobodyHas0123456789012")]:
        for path in (f"/webhooks/stripe/{token}", f"/webhooks/stripe/{token}/more", f"/webhooks/{token}"):
            own.api.http.post(path, content=b"{}", headers={"Stripe-Signature": "t=1,v1=00"})
            own.api.http.get(path)
    _sign_in_and_out(town, own.api)
    own.api.ask(documents.DISCONNECT, id=own.integration)
    for path in ("/metrics", "/readyz", "/healthz", "/"):
        town.api(None).http.get(path)

    assert town.overheard() == set()


def test_a_secret_that_was_told_would_be_noticed(town: Town) -> None:
    attentive = Town(town.servers, callers=town.callers)
    _, api = attentive.workspace()

    api.execute("{ whsec_4242424242: __typename }")
    attentive.secret("whsec_4242424242")

    assert attentive.overheard() == {"whsec_4242424242"}


def _sign_in_and_out(town: Town, api: Api) -> None:
    """Exchange a key for a cookie, and use both where they belong and where they don't."""
    visitor = town.api(None).http
    visitor.headers["Origin"] = town.servers.app.url
    asked = {"query": "{ viewer { apiKey { id } } }"}
    signed_in = visitor.post("/session", json={"apiKey": api.key})
    assert signed_in.status_code == 204
    (cookie,) = map(town.secret, dict(visitor.cookies).values())
    town.heard[-1] = town.heard[-1].replace(cookie, "(given once)")

    assert visitor.post("/graphql", json=asked).status_code == 200
    assert visitor.get("/session").json()["signedIn"] is True
    for elsewhere in (f"/session?apiKey={api.key}", f"/session/{cookie}", f"/{cookie}", f"/graphql?query={cookie}"):
        visitor.get(elsewhere)
    visitor.post("/session", json={"apiKey": cookie})
    visitor.post("/session", json={"apiKey": [api.key]})
    visitor.post("/session", content=f"apiKey={api.key}")
    visitor.post("/graphql", json=asked, headers={"Authorization": f"Bearer {cookie}"})
    visitor.post("/graphql", json=asked, headers={"Origin": f"https://{cookie}"})
    assert visitor.delete("/session").status_code == 204
    assert visitor.get("/session").json()["signedIn"] is False
