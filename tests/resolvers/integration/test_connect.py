"""Integrations: what is pasted where, whose account a key opens, how it is doing, and what is left of it in the end."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio

from database.dialect import sqlite_path
from database.scope import scoped
from errors import FluxrateError
from gateways.stripe.client import StripeGateway
from gateways.stripe.events import EVENTS_TO_SEND
from models.integration import SEALED_COLUMNS, Integration, bound_to
from models.kinds import EventType, Mode, PaymentLinkStatus
from resolvers.context import Services
from tests.world import books, documents
from tests.world.business import Business, new_business
from tests.world.caller import Caller
from tests.world.eventually import eventually
from tests.world.stripe_payloads import body, payment_intent_succeeded, signed_headers

NOBODY: Final = "http://127.0.0.1:1"
"""Where nothing listens."""

SECRET: Final = "whsec_abcdefghijklmnop"
ANOTHER_SECRET: Final = "whsec_qrstuvwxyz012345"
ENDPOINTS: Final = "/v1/webhook_endpoints"


@pytest_asyncio.fixture(loop_scope="module")
async def connected(business: Business) -> str:
    """The business's integration, with a webhook secret."""
    return str((await business.connect(webhookSecret=SECRET))["id"])


async def _row(business: Business, id_: str) -> Integration:
    return await scoped(Integration, business.workspace.id).get(id=id_)


async def _listed(business: Business) -> list[str]:
    listed = await business.mutate("{ stripeIntegrations { nodes { id } } }")
    return [node["id"] for node in listed["nodes"]]


async def _problems(business: Business, id_: str) -> list[str]:
    return [problem["code"] for problem in (await business.integration(id_))["health"]["problems"]]


async def _opened(business: Business, id_: str, column: str) -> str | None:
    sealed = getattr(await _row(business, id_), column)
    return sealed and business.services.keyring.open(sealed, bound_to(id_, column))


@asynccontextmanager
async def _asking(business: Business, stripe_url: str | None) -> AsyncIterator[Business]:
    """The same business with the product set up to look for Stripe elsewhere; where it really is, for None."""
    async with StripeGateway(stripe_url) as gateway:
        services = replace(business.services, gateway=gateway)
        yield replace(business, services=services, admin=Caller(services, business.admin.authorization))


async def _signed_with(business: Business, endpoint: dict[str, Any], secret: str) -> bool:
    """Whether Stripe signs what it posts to an endpoint with a secret: it tells it to those who made the endpoint."""
    keys = {call["idempotency_key"] for call in await business.stripe.calls("POST", ENDPOINTS)}
    told = {}
    for key in keys:
        with contextlib.suppress(FluxrateError):
            made = await business.services.gateway.register_webhook(business.stripe.key(), endpoint["url"], key)
            told[made.provider_id] = made.secret
    return told[endpoint["id"]] == secret


async def _post(business: Business, webhook_url: str, secret: str) -> int:
    """Have Stripe post an event of another system's to the webhook URL; the status of the answer."""
    raw = body(payment_intent_succeeded())
    return await business.post(webhook_url, raw, signed_headers(raw, secret))


# --- What is pasted where --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pasted", "sentence"),
    [
        ("pk_test_4242424242424242", "This is the publishable key, which can't create Payment Links"),
        ("pk_live_4242424242424242", "This is the publishable key, which can't create Payment Links"),
        ("whsec_4242424242424242", "This is a webhook signing secret; it belongs in the Webhook Secret field"),
        ("https://dashboard.stripe.com/apikeys", "This is a URL, not a key"),
        ("", "The secret key is empty"),
        ("  \n ", "The secret key is empty"),
        ('""', "The secret key is empty"),
        ("sk_test_", "This is only a part of a secret key"),
        ("sk_test_123", "This is only a part of a secret key"),
        ("sk_test_••••4242", "This is only a part of a secret key"),
        ("4242", "This is not a Stripe secret key"),
    ],
)
async def test_what_is_no_secret_key_is_told_what_it_is(business: Business, pasted: str, sentence: str) -> None:
    refusal = await business.connect(secretKey=pasted)

    assert (refusal["__typename"], refusal["code"]) == ("InvalidInput", "INVALID_SECRET_KEY")
    assert refusal["message"].startswith(sentence)
    assert "Stripe → Developers → API keys" in refusal["message"]
    assert refusal["path"] == ["input", "secretKey"]
    assert len(pasted) < 9 or pasted not in refusal["message"]
    assert await _listed(business) == []


@pytest.mark.parametrize(
    ("pasted", "sentence"),
    [
        ("https://fluxrate.example/webhooks/stripe/x", "This is the endpoint's URL, not its signing secret"),
        ("sk_test_4242424242424242", "This is an API key, not a signing secret"),
        ("rk_live_4242424242424242", "This is an API key, not a signing secret"),
        ("pk_test_4242424242424242", "This is an API key, not a signing secret"),
        ("we_1MgIQZLkdIwHu7ixYxCOOQdZ", "This is the endpoint's id, not its signing secret"),
        ("whsec_", "This is not a webhook signing secret"),
        ("4242424242424242", "This is not a webhook signing secret"),
    ],
)
async def test_what_is_no_webhook_secret_is_told_what_it_is(
    business: Business, connected: str, pasted: str, sentence: str
) -> None:
    on_connecting = await business.connect(webhookSecret=pasted)
    on_saving = await business.update_integration(connected, webhookSecret=pasted)

    for refusal in (on_connecting, on_saving):
        assert (refusal["__typename"], refusal["code"]) == ("InvalidInput", "INVALID_WEBHOOK_SECRET")
        assert refusal["message"].startswith(sentence)
        assert refusal["path"] == ["input", "webhookSecret"]
    assert await _listed(business) == [connected]
    assert await _opened(business, connected, "webhook_secret_sealed") == SECRET


async def test_a_blank_webhook_secret_is_none_yet_but_can_not_be_saved(business: Business) -> None:
    blank = [await business.connect(webhookSecret=text) for text in (None, "", "  ")]

    refusal = await business.update_integration(blank[0]["id"], webhookSecret=" ")

    assert {integration["status"] for integration in blank} == {"AWAITING_WEBHOOK_SECRET"}
    assert refusal["message"].startswith("The webhook secret is empty")


@pytest.mark.parametrize("around", ["{}", "  {} ", "{}\n", '"{}"', "'{}'", "\t“{}”\r\n", "\ufeff{}"])
async def test_what_pasting_adds_is_taken_off(business: Business, around: str) -> None:
    key = business.stripe.key()

    integration = await business.connect(secretKey=around.format(key), webhookSecret=around.format(SECRET))

    assert integration["secretKeyPreview"] == f"sk_test_…{key[-4:]}"
    assert await _opened(business, integration["id"], "secret_key_sealed") == key
    assert await _opened(business, integration["id"], "webhook_secret_sealed") == SECRET


async def test_a_key_broken_by_a_newline_is_put_together(business: Business) -> None:
    key = business.stripe.key()

    integration = await business.connect(secretKey=f"{key[:20]}\n{key[20:]}")

    assert await _opened(business, integration["id"], "secret_key_sealed") == key


@pytest.mark.parametrize("name", ["", "  ", "x" * 256])
async def test_a_connection_has_a_name(business: Business, connected: str, name: str) -> None:
    for refusal in (await business.connect(name=name), await business.update_integration(connected, name=name)):
        assert (refusal["__typename"], refusal["path"]) == ("InvalidInput", ["input", "name"])


# --- Test and live ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "key"), [(Mode.TEST, "sk_live_4242424242"), (Mode.LIVE, "rk_test_4242424242")])
async def test_a_key_of_the_other_mode_is_refused(office: Services, stripe_url: str, mode: Mode, key: str) -> None:
    async with _asking(await new_business(office, stripe_url, mode), None) as business:
        refusal = await business.connect(secretKey=key)

        assert (refusal["__typename"], refusal["code"]) == ("ModeMismatch", "MODE_MISMATCH")
        assert f"the workspace is in {mode.value.lower()} mode" in refusal["message"]
        assert await _listed(business) == []


@pytest.mark.parametrize("mode", Mode)
async def test_a_live_key_is_sent_to_stripe_alone(office: Services, stripe_url: str, mode: Mode) -> None:
    business = await new_business(office, stripe_url, mode)

    refusal = await business.connect(secretKey="sk_live_4242424242")

    assert (refusal["__typename"], refusal["code"]) == ("InvalidInput", "LIVE_KEY_REFUSED")
    assert "FLUXRATE_STRIPE_API_BASE" in refusal["message"]
    assert await business.stripe.calls("GET", "/v1/account") == []


# --- Connecting ------------------------------------------------------------------------------------------------


async def test_what_is_connected_says_where_to_post_what_and_what_is_missing(business: Business) -> None:
    integration = await business.connect()

    assert integration["stripeAccountId"] == business.stripe.id
    assert integration["eventsToSend"] == list(EVENTS_TO_SEND)
    codes = [problem["code"] for problem in integration["health"]["problems"]]
    assert codes == ["WEBHOOK_SECRET_MISSING", "PUBLIC_URL_LOCAL"]
    token = integration["webhookUrl"].removeprefix("http://127.0.0.1:8000/webhooks/stripe/")
    assert len(token) == 32
    assert await books.log_types(business.workspace) == [EventType.INTEGRATION_CONNECTED]


async def test_no_two_have_the_same_webhook_url(business: Business) -> None:
    integrations = [await business.connect() for _ in range(5)]

    assert len({integration["webhookUrl"] for integration in integrations}) == 5


async def test_secrets_are_sealed_and_their_ends_alone_are_shown(business: Business, connected: str) -> None:
    row, seen = await _row(business, connected), await business.integration(connected)

    stored = str({name: getattr(row, name) for name in row._meta.db_fields})
    assert SECRET not in stored
    assert business.stripe.key() not in stored
    assert (seen["secretKeyPreview"], seen["webhookSecretPreview"]) == (
        f"sk_test_…{business.stripe.key()[-4:]}",
        "whsec_…mnop",
    )


async def test_a_restricted_key_is_taken_whether_or_not_it_tells_its_account(business: Business) -> None:
    telling = await business.connect(secretKey=business.stripe.key(kind="rk"))
    silent = await business.connect(secretKey="rk_test_noaccount_4242")

    assert telling["secretKeyPreview"].startswith("rk_test_…")
    assert (telling["stripeAccountId"], silent["stripeAccountId"]) == (business.stripe.id, None)


@pytest.mark.parametrize("key", ["sk_test_invalid_42424242", "sk_test_revoked_42424242"])
async def test_what_stripe_rejects_is_not_connected(business: Business, key: str) -> None:
    refusal = await business.connect(secretKey=key)

    assert (refusal["__typename"], refusal["code"]) == ("StripeRefused", "KEY_REJECTED")
    assert refusal["path"] == ["input", "secretKey"]
    assert key not in refusal["message"]
    assert await _listed(business) == []
    assert await books.log_types(business.workspace) == []


async def test_stripe_need_not_be_reached(business: Business, connected: str) -> None:
    """Nor be well."""
    await business.stripe.fault("status_before", method="GET", path="/v1/account", status=500, times=2)

    ill = await business.connect()
    async with _asking(business, NOBODY) as far:
        away = await far.connect()
        rotated = await far.update_integration(connected, secretKey=business.stripe.key("2"))

    assert (ill["status"], ill["stripeAccountId"]) == ("AWAITING_WEBHOOK_SECRET", None)
    assert (away["status"], away["stripeAccountId"]) == ("AWAITING_WEBHOOK_SECRET", None)
    assert rotated["integration"]["status"] == "READY"
    assert (await business.integration(connected))["stripeAccountId"] == business.stripe.id
    await business.update_integration(away["id"], secretKey=business.stripe.key("2"))
    assert (await business.integration(away["id"]))["stripeAccountId"] == business.stripe.id


async def test_the_same_idempotency_key_connects_once_also_at_once(business: Business) -> None:
    results = await asyncio.gather(*(business.connect(idempotencyKey="first") for _ in range(5)))

    other = await business.connect(idempotencyKey="first", secretKey=business.stripe.key("2"))

    assert len({result["id"] for result in results}) == 1
    assert (other["__typename"], other["code"]) == ("Conflict", "IDEMPOTENCY_KEY_REUSED")
    assert len(await _listed(business)) == 1


async def test_the_endpoint_can_be_registered_with_it(business: Business) -> None:
    integration = await business.connect(registerWebhook=True)

    (endpoint,) = await business.stripe.endpoints()
    row = await _row(business, integration["id"])
    assert (integration["status"], row.webhook_endpoint_id) == ("READY", endpoint["id"])
    assert endpoint["url"] == integration["webhookUrl"]
    assert endpoint["enabled_events"] == list(EVENTS_TO_SEND)
    assert endpoint["api_version"] == "2026-10-28.endive"
    secret = await _opened(business, integration["id"], "webhook_secret_sealed")
    assert secret is not None
    assert await books.log_types(business.workspace) == [EventType.INTEGRATION_CONNECTED]
    assert await _post(business, integration["webhookUrl"], secret) == 200


async def test_asked_twice_one_integration_and_one_endpoint_are_made(business: Business) -> None:
    given = {"registerWebhook": True, "idempotencyKey": "setup"}

    at_once = await asyncio.gather(*(business.connect(**given) for _ in range(4)))
    later = await business.connect(**given)

    (endpoint,) = await business.stripe.endpoints()
    assert {result["id"] for result in [*at_once, later]} == {later["id"]}
    assert (endpoint["url"], await _listed(business)) == (later["webhookUrl"], [later["id"]])
    secret = await _opened(business, later["id"], "webhook_secret_sealed")
    assert secret is not None
    assert await _signed_with(business, endpoint, secret)


async def test_asked_twice_without_an_idempotency_key_two_are_connected_with_an_endpoint_each(
    business: Business,
) -> None:
    first, second = await business.connect(registerWebhook=True), await business.connect(registerWebhook=True)

    urls = [endpoint["url"] for endpoint in await business.stripe.endpoints()]
    assert urls == [first["webhookUrl"], second["webhookUrl"]]
    assert first["webhookUrl"] != second["webhookUrl"]


@pytest.mark.parametrize("kind", ["hang_up", "status_after"])
async def test_an_answer_that_was_lost_on_the_way_leaves_one_endpoint(business: Business, kind: str) -> None:
    """Whether Stripe's client asks again or, after a server error that is replayed for ever, we do."""
    await business.stripe.fault(kind, path=ENDPOINTS)

    integration = await business.connect(registerWebhook=True)

    (endpoint,) = await business.stripe.endpoints()
    secret = await _opened(business, integration["id"], "webhook_secret_sealed")
    assert endpoint["url"] == integration["webhookUrl"]
    assert secret is not None
    assert await _signed_with(business, endpoint, secret)


@pytest.mark.parametrize("key", [None, "setup"])
async def test_an_endpoint_that_nobody_heard_of_is_taken_back_and_asking_again_makes_one(
    business: Business, key: str | None
) -> None:
    await business.stripe.fault("hang_up", path=ENDPOINTS, times=2)

    refusal = await business.connect(registerWebhook=True, idempotencyKey=key)
    left = (await business.stripe.endpoints(), await _listed(business))
    integration = await business.connect(registerWebhook=True, idempotencyKey=key)

    assert (refusal["__typename"], refusal["code"]) == ("StripeRefused", "WEBHOOK_NOT_REGISTERED")
    assert left == ([], [])
    (endpoint,) = await business.stripe.endpoints()
    secret = await _opened(business, integration["id"], "webhook_secret_sealed")
    assert endpoint["url"] == integration["webhookUrl"]
    assert secret is not None
    assert await _signed_with(business, endpoint, secret)


async def test_what_was_left_at_stripe_while_it_could_not_be_asked_is_taken_up_by_asking_again(
    business: Business,
) -> None:
    given = {"registerWebhook": True, "idempotencyKey": "setup"}
    await business.stripe.fault("hang_up", path=ENDPOINTS, times=2)
    await business.stripe.fault("hang_up", method="GET", path=ENDPOINTS, times=2)
    await business.connect(**given)
    (left,) = await business.stripe.endpoints()

    integration = await business.connect(**given)

    assert [endpoint["id"] for endpoint in await business.stripe.endpoints()] == [left["id"]]
    secret = await _opened(business, integration["id"], "webhook_secret_sealed")
    assert secret is not None
    assert await _signed_with(business, left, secret)


async def test_an_endpoint_that_stripe_does_not_add_leaves_nothing_connected(business: Business) -> None:
    await business.stripe.fault("status_before", path=ENDPOINTS, status=400)

    refusal = await business.connect(registerWebhook=True)

    assert (refusal["__typename"], refusal["code"]) == ("StripeRefused", "WEBHOOK_NOT_REGISTERED")
    assert refusal["message"].startswith("Nothing was changed")
    assert refusal["path"] == ["input", "registerWebhook"]
    assert (await _listed(business), await business.stripe.endpoints()) == ([], [])
    assert await books.log_types(business.workspace) == []


@pytest.mark.parametrize("public_url", ["http://127.0.0.1:8000", "https://localhost", "http://fluxrate.example"])
async def test_a_url_that_stripe_can_not_post_to_is_told_with_what_to_do(business: Business, public_url: str) -> None:
    await business.stripe.fault("status_before", path=ENDPOINTS, status=400)
    services = replace(business.services, public_url=public_url)
    there = replace(business, services=services, admin=Caller(services, business.admin.authorization))

    refusal = await there.connect(registerWebhook=True)

    for word in (public_url, "FLUXRATE_PUBLIC_URL", "stripe listen", "by hand"):
        assert word in refusal["message"]


async def test_the_token_of_a_url_that_stripe_refuses_is_not_told(business: Business) -> None:
    services = replace(business.services, public_url="https://elsewhere.example")
    there = replace(business, services=services, admin=Caller(services, business.admin.authorization))

    refusal = await there.connect(registerWebhook=True)

    assert "FLUXRATE_PUBLIC_URL" in refusal["message"]
    assert "elsewhere.example" in refusal["message"]
    (call,) = await business.stripe.calls("POST", ENDPOINTS)
    assert call["params"]["url"].startswith("https://elsewhere.example/webhooks/stripe/")
    assert call["params"]["url"].rpartition("/")[2] not in refusal["message"]
    assert call["params"]["url"].rpartition("/")[2] not in call["idempotency_key"]


async def test_the_same_idempotency_key_with_other_input_adds_no_endpoint(business: Business) -> None:
    await business.connect(registerWebhook=True, idempotencyKey="setup")

    refusal = await business.connect(registerWebhook=True, idempotencyKey="setup", name="Other")

    assert (refusal["__typename"], refusal["code"]) == ("Conflict", "IDEMPOTENCY_KEY_REUSED")
    assert len(await business.stripe.endpoints()) == 1


async def test_of_two_requests_at_once_with_one_idempotency_key_the_loser_leaves_no_endpoint(
    business: Business,
) -> None:
    """Though both ask Stripe before either knows of the other."""
    await business.stripe.fault("delay", path=ENDPOINTS, delay_s=0.3, times=2)

    results = await asyncio.gather(
        *(business.connect(registerWebhook=True, idempotencyKey="setup", name=name) for name in ("One", "Other"))
    )

    assert {result.get("code") for result in results} == {None, "IDEMPOTENCY_KEY_REUSED"}
    (listed,) = await _listed(business)
    (endpoint,) = await business.stripe.endpoints()
    assert (await _row(business, listed)).webhook_endpoint_id == endpoint["id"]


async def test_a_secret_and_its_registration_exclude_one_another(business: Business) -> None:
    refusal = await business.connect(registerWebhook=True, webhookSecret=SECRET)

    assert (refusal["__typename"], refusal["path"]) == ("InvalidInput", ["input", "registerWebhook"])


# --- Rotating --------------------------------------------------------------------------------------------------


async def test_a_key_of_the_same_account_replaces_the_old_one(business: Business, connected: str) -> None:
    key = business.stripe.key("rotated42")

    await business.update_integration(connected, secretKey=f" {key} ")

    seen = await business.integration(connected)
    assert (seen["secretKeyPreview"], seen["status"]) == ("sk_test_…ed42", "READY")
    assert await _opened(business, connected, "secret_key_sealed") == key


async def test_a_key_of_another_account_is_taken_only_when_that_is_said(business: Business, connected: str) -> None:
    key = f"sk_test_{business.stripe.name}other_1"

    refusal = await business.update_integration(connected, secretKey=key, name="Other")
    before = await business.integration(connected)
    await business.update_integration(connected, secretKey=key, allowAccountChange=True)
    after = await business.integration(connected)

    assert (refusal["__typename"], refusal["code"]) == ("Conflict", "OTHER_STRIPE_ACCOUNT")
    assert business.stripe.id in refusal["message"]
    assert (before["name"], before["stripeAccountId"]) == ("Stripe", business.stripe.id)
    assert after["stripeAccountId"] not in {None, business.stripe.id}
    assert after["stripeAccountId"] in refusal["message"]
    assert await _opened(business, connected, "secret_key_sealed") == key


async def test_a_key_that_does_not_work_does_not_replace_one_that_does(business: Business, connected: str) -> None:
    rejected = await business.update_integration(connected, secretKey="sk_test_invalid_42424242")
    wrong = await business.update_integration(connected, secretKey="pk_test_4242424242424242")
    live = await business.update_integration(connected, secretKey="sk_live_4242424242424242")

    assert [each["code"] for each in (rejected, wrong, live)] == [
        "KEY_REJECTED",
        "INVALID_SECRET_KEY",
        "LIVE_KEY_REFUSED",
    ]
    assert await _opened(business, connected, "secret_key_sealed") == business.stripe.key()


async def test_a_rotated_webhook_secret_keeps_the_one_before_for_a_day(business: Business, connected: str) -> None:
    url = (await business.integration(connected))["webhookUrl"]

    changed = await business.update_integration(connected, webhookSecret=ANOTHER_SECRET)

    row = await _row(business, connected)
    expires_at = datetime.fromisoformat(changed["integration"]["previousWebhookSecretExpiresAt"])
    assert expires_at == row.previous_webhook_secret_expires_at
    assert expires_at - row.updated_at <= timedelta(hours=24)
    assert expires_at - row.updated_at > timedelta(hours=23, minutes=59)
    assert await _opened(business, connected, "previous_webhook_secret_sealed") == SECRET
    assert await _opened(business, connected, "webhook_secret_sealed") == ANOTHER_SECRET
    assert [await _post(business, url, secret) for secret in (SECRET, ANOTHER_SECRET)] == [200, 200]


@pytest.mark.parametrize("again", [SECRET, f'  "{SECRET}"\n'])
async def test_the_same_webhook_secret_again_is_no_rotation(business: Business, connected: str, again: str) -> None:
    unrotated = await business.update_integration(connected, webhookSecret=again)
    await business.update_integration(connected, webhookSecret=ANOTHER_SECRET)
    rotated = (await _row(business, connected)).previous_webhook_secret_expires_at

    await business.update_integration(connected, webhookSecret=ANOTHER_SECRET)

    assert unrotated["integration"]["previousWebhookSecretExpiresAt"] is None
    assert (await _row(business, connected)).previous_webhook_secret_expires_at == rotated
    assert await _opened(business, connected, "previous_webhook_secret_sealed") == SECRET


async def test_null_clears_nothing_of_an_integration(business: Business, connected: str) -> None:
    for name in ("name", "secretKey", "webhookSecret", "isActive"):
        refusal = await business.update_integration(connected, **{name: None})

        assert (refusal["__typename"], refusal["path"]) == ("InvalidInput", ["input", name])


# --- How it is doing -------------------------------------------------------------------------------------------


async def test_health_says_what_is_missing_until_nothing_is(business: Business) -> None:
    integration = await business.connect()
    id_, url = integration["id"], integration["webhookUrl"]

    seen = [await _problems(business, id_)]
    await business.update_integration(id_, webhookSecret=SECRET)
    seen.append(await _problems(business, id_))
    await _post(business, url, SECRET)
    seen.append(await _problems(business, id_))

    assert seen == [["WEBHOOK_SECRET_MISSING", "PUBLIC_URL_LOCAL"], ["PUBLIC_URL_LOCAL", "NO_EVENT_YET"], []]
    health = (await business.integration(id_))["health"]
    assert (health["deliveries"], health["rejected"]) == (1, 0)


async def test_signatures_that_fail_are_told_until_one_is_right(business: Business, connected: str) -> None:
    """Or until the secret is saved again."""
    url = (await business.integration(connected))["webhookUrl"]
    await _post(business, url, SECRET)

    statuses = [await _post(business, url, "whsec_forgedForgedForged")]
    failing = await business.integration(connected)
    statuses.append(await _post(business, url, SECRET))
    right = await _problems(business, connected)
    statuses.append(await _post(business, url, ANOTHER_SECRET))
    failing_again = await _problems(business, connected)
    await business.update_integration(connected, webhookSecret=ANOTHER_SECRET)
    saved = await _problems(business, connected)

    assert statuses == [400, 200, 400]
    (problem,) = failing["health"]["problems"]
    assert problem["code"] == "SIGNATURES_FAILING"
    assert "does not match the saved webhook secret" in problem["message"]
    assert (failing["health"]["rejected"], failing["health"]["lastRejectedAt"] is None) == (1, False)
    assert (right, failing_again, saved) == ([], ["SIGNATURES_FAILING"], [])


async def test_a_rejected_key_and_a_switch_that_is_off_are_told_the_gravest_first(
    business: Business, connected: str
) -> None:
    await business.stripe.fault("status_before", status=401)
    await business.finalized("20.00")
    rejected = (await business.integration(connected))["status"]

    await business.update_integration(connected, isActive=False)
    off = await business.integration(connected)
    await business.update_integration(connected, isActive=True, secretKey=business.stripe.key("2"))
    well = await business.integration(connected)

    assert (rejected, off["status"], well["status"]) == ("KEY_REJECTED", "INACTIVE", "READY")
    codes = [problem["code"] for problem in off["health"]["problems"]]
    assert codes == ["INTEGRATION_OFF", "KEY_REJECTED", "PUBLIC_URL_LOCAL", "NO_EVENT_YET"]
    assert "told to refuse" in off["health"]["problems"][1]["message"]
    assert [problem["code"] for problem in well["health"]["problems"]] == ["PUBLIC_URL_LOCAL", "NO_EVENT_YET"]
    assert (await books.log_types(business.workspace)).count(EventType.INTEGRATION_UPDATED) == 3


# --- Disconnecting ---------------------------------------------------------------------------------------------


async def test_disconnecting_leaves_no_secret_and_no_link_that_can_be_paid(business: Business, connected: str) -> None:
    await business.update_integration(connected, webhookSecret=ANOTHER_SECRET)
    before = await business.integration(connected)
    invoices = [await business.finalized("20.00") for _ in range(3)]
    await business.mutate(documents.VOID, id=invoices[0]["id"])

    await business.mutate(documents.DISCONNECT, id=connected)

    row, after = await _row(business, connected), await business.integration(connected)
    assert (row.secret_key_sealed, row.webhook_secret_sealed, row.previous_webhook_secret_sealed) == (None, None, None)
    assert (row.webhook_token, row.previous_webhook_secret_expires_at, row.is_active) == (None, None, False)
    for preview in ("secretKeyPreview", "webhookSecretPreview", "stripeAccountId", "name"):
        assert after[preview] == before[preview]
    assert (after["status"], after["webhookUrl"], after["health"]["problems"]) == ("DISCONNECTED", None, [])
    assert await business.stripe.active_links() == []
    for invoice in invoices:
        link = await business.link(invoice["id"])
        assert (link.status, link.due_at) == (PaymentLinkStatus.DEACTIVATED, None)
        assert EventType.PAYMENT_LINK_DEACTIVATED in await business.happened(invoice["id"])
    assert await _post(business, before["webhookUrl"], ANOTHER_SECRET) == 404


async def test_disconnecting_twice_changes_nothing(business: Business, connected: str) -> None:
    first = await business.mutate(documents.DISCONNECT, id=connected)
    second = await business.mutate(documents.DISCONNECT, id=connected)
    refusal = await business.update_integration(connected, isActive=True)

    assert first["integration"]["disconnectedAt"] is not None
    assert second == first
    assert (await books.log_types(business.workspace)).count(EventType.INTEGRATION_DISCONNECTED) == 1
    assert (refusal["__typename"], refusal["code"]) == ("InvalidInput", "INTEGRATION_DISCONNECTED")


async def test_disconnecting_does_not_depend_on_stripe(business: Business, connected: str) -> None:
    invoice = await business.finalized("20.00")
    await business.stripe.fault("status_before", path="/v1/payment_links/*", status=500, times=2)

    result = await business.mutate(documents.DISCONNECT, id=connected)

    assert result["integration"]["status"] == "DISCONNECTED"
    assert (await business.link(invoice["id"])).status is PaymentLinkStatus.DEACTIVATED


async def test_a_stripe_that_can_not_be_reached_is_disconnected_all_the_same(
    business: Business, logged: list[MutableMapping[str, Any]]
) -> None:
    integration = await business.connect(registerWebhook=True)
    await business.finalized("20.00")

    async with _asking(business, NOBODY) as far:
        result = await far.mutate(documents.DISCONNECT, id=integration["id"])

    assert result["integration"]["status"] == "DISCONNECTED"
    assert "a webhook endpoint could not be removed at stripe" in {entry["event"] for entry in logged}


async def test_disconnecting_removes_the_endpoint_that_we_registered_and_no_other(business: Business) -> None:
    integration = await business.connect(registerWebhook=True)
    by_hand = await business.services.gateway.register_webhook(business.stripe.key(), f"{NOBODY}/hook", "by hand")

    await business.mutate(documents.DISCONNECT, id=integration["id"])

    assert [endpoint["id"] for endpoint in await business.stripe.endpoints()] == [by_hand.provider_id]
    assert (await _row(business, integration["id"])).webhook_endpoint_id is None


async def test_what_can_not_be_taken_back_at_stripe_is_logged(
    business: Business, logged: list[MutableMapping[str, Any]]
) -> None:
    integration = await business.connect(registerWebhook=True)
    await business.finalized("20.00")
    await business.stripe.fault("status_before", path="/v1/payment_links/*", status=403)
    await business.stripe.fault("status_before", method="DELETE", path=f"{ENDPOINTS}/*", status=403)

    result = await business.mutate(documents.DISCONNECT, id=integration["id"])

    assert result["integration"]["status"] == "DISCONNECTED"
    warnings = {entry["event"] for entry in logged if entry["log_level"] == "warning"}
    assert warnings >= {"payment link not deactivated", "a webhook endpoint could not be removed at stripe"}


async def test_a_link_that_is_being_made_while_stripe_is_disconnected_can_not_be_paid(
    business: Business, connected: str
) -> None:
    draft = await business.draft("20.00")
    await business.stripe.fault("delay", delay_s=0.5)
    finalizing = asyncio.create_task(business.finalize(draft))
    await eventually(lambda: _was_asked(business))

    await business.mutate(documents.DISCONNECT, id=connected)
    await finalizing

    (made,) = await business.stripe.links()
    link = await business.link(draft)
    assert not made["active"]
    assert (link.status, link.provider_id, link.due_at) == (PaymentLinkStatus.DEACTIVATED, made["id"], None)


async def test_a_link_that_becomes_known_after_its_key_is_gone_is_stopped_with_the_last_key(
    business: Business, connected: str
) -> None:
    """As is one that was made between the first look at an integration's links and its disconnection."""
    invoice = await business.finalized("20.00")
    await business.stripe.fault("status_before", path="/v1/payment_links/*", status=500, times=4)
    await business.mutate(documents.DISCONNECT, id=connected)
    payable = await business.stripe.active_links()
    await business.make_due(invoice["id"])

    await business.services.link_maker.make((await business.link(invoice["id"])).id, last_key=business.stripe.key())

    assert len(payable) == 1
    assert await business.stripe.active_links() == []
    assert (await business.link(invoice["id"])).due_at is None


async def test_disconnecting_stops_a_link_whose_next_try_is_still_to_come(business: Business, connected: str) -> None:
    """Later there is no key to stop it with."""
    invoice = await business.finalized("20.00")
    await business.stripe.fault("status_before", path="/v1/payment_links/*", status=500, times=2)
    await business.mutate(documents.VOID, id=invoice["id"])
    waiting = await business.work_off(invoice["id"])
    assert waiting.due_at is not None

    await business.mutate(documents.DISCONNECT, id=connected)

    assert not await business.stripe.is_payable(invoice["paymentLink"]["stripeId"])
    assert (await business.link(invoice["id"])).due_at is None


async def test_after_disconnecting_the_sealed_secrets_are_not_in_the_database_file(
    business: Business, connected: str, module_database_url: str
) -> None:
    if not module_database_url.startswith("sqlite"):
        pytest.skip("PostgreSQL keeps what was deleted until it vacuums")
    path = sqlite_path(module_database_url)
    await business.update_integration(connected, webhookSecret=ANOTHER_SECRET)
    row = await _row(business, connected)
    sealed = [getattr(row, column).encode() for column in SEALED_COLUMNS]
    before = _on_disk(path)

    await business.mutate(documents.DISCONNECT, id=connected)

    after = _on_disk(path)
    assert len(sealed) == 3
    assert all(secret in before for secret in sealed)
    assert not any(secret in after for secret in sealed)


def _on_disk(path: Path) -> bytes:
    """All that a database's files hold once its log has been worked in."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return b"".join(each.read_bytes() for each in sorted(path.parent.glob(f"{path.name}*")))


async def _was_asked(business: Business) -> bool:
    return bool(await business.stripe.calls("POST"))


async def test_what_is_disconnected_is_listed_only_when_asked_for_and_used_by_nobody(
    business: Business, connected: str
) -> None:
    draft = await business.draft("20.00")
    await business.mutate(documents.DISCONNECT, id=connected)

    everything = await business.mutate("{ stripeIntegrations(includeDisconnected: true) { nodes { id } } }")
    named = await business.finalize(draft, connected)
    unnamed = await business.finalize(draft)

    assert (await _listed(business), everything["nodes"]) == ([], [{"id": connected}])
    assert (named["__typename"], named["code"]) == ("InvalidInput", "INTEGRATION_UNUSABLE")
    assert unnamed["invoice"]["paymentLink"] is None
