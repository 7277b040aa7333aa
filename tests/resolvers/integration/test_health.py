"""What a check finds at Stripe and what a repair mends there: each problem by itself, and all at once."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from email.utils import formatdate
from typing import Any, Final

import pytest
import pytest_asyncio

from database.access import transaction
from database.scope import scoped
from gateways.stripe.checkup import Checkup
from gateways.stripe.client import StripeGateway
from gateways.stripe.events import EVENTS_TO_SEND
from models.diagnosis import Diagnosis
from models.instant import utc_now
from models.integration import Integration, bound_to
from models.kinds import EventType, PaymentLinkStatus
from payment_links import lifecycle
from tests.world import books, documents
from tests.world.business import Business, Json
from tests.world.caller import Caller
from tests.world.eventually import eventually
from tests.world.stripe_payloads import body, fresh, payment_intent_succeeded, signed_headers

SECRET: Final = "whsec_abcdefghijklmnop"
ENDPOINTS: Final = "/v1/webhook_endpoints"
NEEDED: Final = list(EVENTS_TO_SEND[:5])


@pytest_asyncio.fixture(loop_scope="module")
async def registered(business: Business) -> Json:
    """An integration whose endpoint we registered, and to which an event has come."""
    integration = await business.connect(registerWebhook=True)
    assert await _post(business, integration, await _secret(business, integration["id"])) == 200
    return integration


@pytest_asyncio.fixture(loop_scope="module")
async def by_hand(business: Business) -> Json:
    """An integration whose endpoint is to be added by hand, with a secret, to which an event has come."""
    integration = await business.connect(webhookSecret=SECRET)
    assert await _post(business, integration, SECRET) == 200
    return integration


async def _row(business: Business, id_: str) -> Integration:
    return await scoped(Integration, business.workspace.id).get(id=id_)


async def _secret(business: Business, id_: str) -> str:
    sealed = (await _row(business, id_)).webhook_secret_sealed
    assert sealed is not None
    return business.services.keyring.open(sealed, bound_to(id_, "webhook_secret_sealed"))


async def _post(business: Business, integration: Json, secret: str, signed_at: float | None = None) -> int:
    """Have an event of another system's posted, signed with a secret; the status of the answer."""
    raw = body(payment_intent_succeeded())
    return await business.post(integration["webhookUrl"], raw, signed_headers(raw, secret, at=signed_at))


async def _add_endpoint(business: Business, url: str, **given: Any) -> str:
    """Add an endpoint at Stripe by hand; its id."""
    async with business.stripe.client() as http:
        params = {"url": url, "enabled_events[]": ["*"], **given}
        return str((await http.post(ENDPOINTS, data=params)).raise_for_status().json()["id"])


async def _change_endpoint(business: Business, endpoint_id: str, **given: Any) -> None:
    async with business.stripe.client() as http:
        (await http.post(f"{ENDPOINTS}/{endpoint_id}", data=given)).raise_for_status()


async def _remove_endpoint(business: Business, endpoint_id: str) -> None:
    async with business.stripe.client() as http:
        (await http.delete(f"{ENDPOINTS}/{endpoint_id}")).raise_for_status()


async def _only_endpoint(business: Business) -> Json:
    (endpoint,) = await business.stripe.endpoints()
    return endpoint


async def _told(business: Business, id_: str, code: str) -> Json:
    """A problem as an integration's health tells it."""
    problems = (await business.integration(id_))["health"]["problems"]
    (found,) = [problem for problem in problems if problem["code"] == code]
    return dict(found)


# --- Checking --------------------------------------------------------------------------------------------------


async def test_an_integration_that_was_set_up_for_us_has_no_problem(business: Business, registered: Json) -> None:
    assert await business.check(registered["id"]) == []


async def test_health_goes_on_telling_what_the_latest_check_found(business: Business, registered: Json) -> None:
    await _remove_endpoint(business, (await _only_endpoint(business))["id"])

    before = (await business.integration(registered["id"]))["health"]["problems"]
    checked = await business.mutate(documents.CHECK_INTEGRATION, id=registered["id"])

    assert before == []
    assert [problem["code"] for problem in checked["problems"]] == ["ENDPOINT_MISSING"]
    assert checked["integration"]["health"]["problems"] == checked["problems"]
    assert (await business.integration(registered["id"]))["health"]["problems"] == checked["problems"]
    assert (await _row(business, registered["id"])).checked_at is not None


async def test_a_check_is_logged_when_it_finds_something_else_than_the_one_before(
    business: Business, registered: Json
) -> None:
    (endpoint,) = await business.stripe.endpoints()
    logged = []

    for disabled in (False, True, True, False):
        await _change_endpoint(business, endpoint["id"], disabled=str(disabled).lower())
        await business.check(registered["id"])
        logged.append((await books.log_types(business.workspace)).count(EventType.INTEGRATION_UPDATED))

    assert logged == [0, 1, 1, 2]


async def test_an_endpoint_that_is_missing_is_told(business: Business, by_hand: Json) -> None:
    await _add_endpoint(business, "http://127.0.0.1:9/of/another/system")

    assert await business.check(by_hand["id"]) == ["ENDPOINT_MISSING"]


async def test_an_endpoint_that_is_disabled_is_told(business: Business, registered: Json) -> None:
    await _change_endpoint(business, (await _only_endpoint(business))["id"], disabled="true")

    assert await business.check(registered["id"]) == ["ENDPOINT_DISABLED"]


async def test_two_endpoints_for_one_url_are_told(business: Business, registered: Json) -> None:
    await _add_endpoint(business, registered["webhookUrl"])

    assert await business.check(registered["id"]) == ["ENDPOINT_DUPLICATED"]
    assert (await _told(business, registered["id"], "ENDPOINT_DUPLICATED"))["message"].startswith("2 enabled")


@pytest.mark.parametrize(
    ("mistake", "shown"),
    [
        (lambda url: f"{url}/", "http://127.0.0.1:8000/webhooks/stripe/…/."),
        (lambda url: f"{url}?a=1", "http://127.0.0.1:8000/webhooks/stripe/…?a=1."),
        (lambda url: url.replace("http:", "https:"), "https://127.0.0.1:8000/webhooks/stripe/…."),
        (lambda url: url.replace("127.0.0.1:8000", "localhost"), "http://localhost/webhooks/stripe/…."),
        (lambda url: url.replace("/webhooks", ""), "http://127.0.0.1:8000/stripe/…."),
    ],
    ids=["slash", "query", "scheme", "host", "path"],
)
async def test_an_endpoint_with_nearly_our_url_is_told_without_its_secret_part(
    business: Business, by_hand: Json, mistake: Any, shown: str
) -> None:
    await _add_endpoint(business, mistake(by_hand["webhookUrl"]))

    found = await business.check(by_hand["id"])

    assert found == ["ENDPOINT_OTHER_URL"]
    message = (await _told(business, by_hand["id"], "ENDPOINT_OTHER_URL"))["message"]
    assert message.endswith(shown)
    assert by_hand["webhookUrl"].rpartition("/")[2] not in message


async def test_our_endpoint_with_quite_another_url_is_told(business: Business, registered: Json) -> None:
    (endpoint,) = await business.stripe.endpoints()
    await _change_endpoint(business, endpoint["id"], url="http://127.0.0.1:9/elsewhere/s3cret")

    found = await business.check(registered["id"])

    assert found == ["ENDPOINT_OTHER_URL"]
    message = (await _told(business, registered["id"], "ENDPOINT_OTHER_URL"))["message"]
    assert "http://127.0.0.1:9/" in message
    assert "s3cret" not in message


async def test_events_that_are_not_selected_are_told_the_needed_apart_from_the_others(
    business: Business, by_hand: Json
) -> None:
    endpoint_id = await _add_endpoint(business, by_hand["webhookUrl"], **{"enabled_events[]": NEEDED[1:]})

    needed = await business.check(by_hand["id"])
    message = (await _told(business, by_hand["id"], "ENDPOINT_EVENTS_MISSING"))["message"]
    await _change_endpoint(business, endpoint_id, **{"enabled_events[]": NEEDED})
    recommended = await business.check(by_hand["id"])
    await _change_endpoint(business, endpoint_id, **{"enabled_events[]": [*EVENTS_TO_SEND, "charge.succeeded"]})
    more = await business.check(by_hand["id"])
    await _change_endpoint(business, endpoint_id, **{"enabled_events[]": ["*"]})

    assert needed == ["ENDPOINT_EVENTS_MISSING"]
    assert NEEDED[0] in message
    assert NEEDED[1] not in message
    assert (recommended, more) == (["ENDPOINT_EVENTS_RECOMMENDED"], [])
    assert await business.check(by_hand["id"]) == []


@pytest.mark.parametrize(("version", "found"), [("2019-12-03", ["ENDPOINT_API_VERSION_OLD"]), ("2020-08-27", [])])
async def test_an_api_version_that_is_not_read_is_told(
    business: Business, by_hand: Json, version: str, found: list[str]
) -> None:
    await _add_endpoint(business, by_hand["webhookUrl"], api_version=version)

    assert await business.check(by_hand["id"]) == found


async def test_without_a_version_an_endpoint_has_the_accounts_default(business: Business, by_hand: Json) -> None:
    await _add_endpoint(business, by_hand["webhookUrl"])

    assert await business.check(by_hand["id"]) == []


async def test_events_of_the_other_mode_are_told(business: Business, registered: Json) -> None:
    live = {**payment_intent_succeeded(invoice_id="inv_01h455vb4pex5vsknk084sn02q"), "livemode": True}
    raw = body(live)
    secret = await _secret(business, registered["id"])

    status = await business.post(registered["webhookUrl"], raw, signed_headers(raw, secret))

    assert status == 200
    assert await business.check(registered["id"]) == ["ENDPOINT_OTHER_MODE"]


async def test_a_disconnected_integration_can_neither_be_checked_nor_repaired(
    business: Business, registered: Json
) -> None:
    await business.mutate(documents.DISCONNECT, id=registered["id"])

    for document in (documents.CHECK_INTEGRATION, documents.REPAIR_INTEGRATION):
        refusal = await business.mutate(document, id=registered["id"])
        assert (refusal["__typename"], refusal["code"]) == ("NotFound", "INTEGRATION_DISCONNECTED")


# --- The key ---------------------------------------------------------------------------------------------------


async def test_a_key_that_is_rejected_is_told_and_forgiven_when_it_works_again(
    business: Business, registered: Json
) -> None:
    await business.stripe.fault("status_before", path="/v1/payment_links", status=401)
    invoice = await business.finalized("20.00")
    await business.stripe.fault("status_before", method="GET", path="/v1/events", status=401)

    rejected = await business.check(registered["id"])
    status = (await business.integration(registered["id"]))["status"]
    well = await business.check(registered["id"])
    link = await business.work_off(invoice["id"])

    assert (rejected, status) == (["KEY_REJECTED"], "KEY_REJECTED")
    assert well == []
    assert (await business.integration(registered["id"]))["status"] == "READY"
    assert link.status is PaymentLinkStatus.ACTIVE


async def test_a_check_finds_out_that_a_key_is_rejected(business: Business, registered: Json) -> None:
    await business.stripe.fault("status_before", method="GET", path="/v1/events", status=401)

    found = await business.check(registered["id"])

    assert found == ["KEY_REJECTED"]
    assert "told to refuse" in (await _told(business, registered["id"], "KEY_REJECTED"))["message"]
    assert (await business.integration(registered["id"]))["status"] == "KEY_REJECTED"


async def test_a_restricted_key_is_told_which_permission_it_lacks(business: Business) -> None:
    key = f"rk_test_{business.stripe.name}_nolinks"
    integration = await business.connect(secretKey=key, registerWebhook=True)

    found = await business.check(integration["id"])

    assert found == ["KEY_NOT_PERMITTED", "NO_EVENT_YET"]
    problem = await _told(business, integration["id"], "KEY_NOT_PERMITTED")
    assert problem["message"].endswith("write Payment Links")
    assert key not in str(problem)
    assert await business.stripe.links() == []


async def test_another_key_is_not_blamed_for_what_the_one_before_lacked(business: Business) -> None:
    integration = await business.connect(secretKey=f"rk_test_{business.stripe.name}_nolinks", registerWebhook=True)
    await business.check(integration["id"])

    await business.update_integration(integration["id"], secretKey=business.stripe.key())

    problems = (await business.integration(integration["id"]))["health"]["problems"]
    assert [problem["code"] for problem in problems] == ["NO_EVENT_YET"]


async def test_a_restricted_key_that_may_do_all_that_is_asked_of_it_is_well(business: Business) -> None:
    integration = await business.connect(secretKey=business.stripe.key(kind="rk"), registerWebhook=True)

    assert await business.check(integration["id"]) == ["NO_EVENT_YET"]


async def test_permissions_that_only_help_when_something_goes_wrong_are_told_as_such(business: Business) -> None:
    integration = await business.connect(secretKey=business.stripe.key(kind="rk"), registerWebhook=True)
    await business.stripe.fault("status_before", method="GET", path="/v1/events", status=403)
    await business.stripe.fault("status_before", path=f"{ENDPOINTS}/*", status=403)

    found = await business.check(integration["id"])

    assert found == ["NO_EVENT_YET", "KEY_LACKS_OPTIONAL_PERMISSION"]
    message = (await _told(business, integration["id"], "KEY_LACKS_OPTIONAL_PERMISSION"))["message"]
    assert "read Events (to fetch" in message
    assert "write Webhook Endpoints (to check" in message
    assert "Payment Links" not in message


@pytest.mark.parametrize(
    ("ahead_s", "found"),
    [(0, ["ENDPOINT_MISSING"]), (600, ["CLOCK_SKEW", "ENDPOINT_MISSING"]), (-600, ["CLOCK_SKEW", "ENDPOINT_MISSING"])],
)
async def test_a_clock_that_is_not_stripes_is_told(
    business: Business, by_hand: Json, ahead_s: float, found: list[str]
) -> None:
    async with _stripe_of_another_time(ahead_s) as url, StripeGateway(url) as gateway:
        mine = business.services
        checkup = Checkup(mine.keyring, gateway, mine.public_url, mine.feed.wake, on_key_accepted=lifecycle.retry)
        services = replace(mine, gateway=gateway, checkup=checkup)
        elsewhere = replace(business, services=services, admin=Caller(services, business.admin.authorization))
        assert await elsewhere.check(by_hand["id"]) == found

    told = {problem["code"]: problem for problem in (await business.integration(by_hand["id"]))["health"]["problems"]}
    assert ("CLOCK_SKEW" in told) == bool(ahead_s)
    assert ("10 min behind" in str(told), "10 min ahead of" in str(told)) == (ahead_s > 0, ahead_s < 0)


@asynccontextmanager
async def _stripe_of_another_time(ahead_s: float) -> AsyncIterator[str]:
    """Stripe's API where every list is empty and the clock is so far ahead of ours."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        date, empty = (
            formatdate(time.time() + ahead_s, usegmt=True),
            b'{"object": "list", "data": [], "has_more": false}',
        )
        head = f"HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Length: {len(empty)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + empty)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("kind", ["hang_up", "status_before"])
async def test_that_stripe_can_not_be_asked_is_found_and_disproves_nothing(
    business: Business, registered: Json, kind: str
) -> None:
    (endpoint,) = await business.stripe.endpoints()
    await _change_endpoint(business, endpoint["id"], disabled="true")
    await business.check(registered["id"])
    await business.stripe.fault(kind, method="GET", path="/v1/events", times=2)

    dark = await business.check(registered["id"])
    await _change_endpoint(business, endpoint["id"], disabled="false")
    light = await business.check(registered["id"])

    assert dark == ["ENDPOINT_DISABLED", "STRIPE_NOT_ASKED"]
    assert light == []


# --- Signatures ------------------------------------------------------------------------------------------------


async def test_another_integrations_secret_is_recognized_when_it_was_saved_here(business: Business) -> None:
    theirs = await business.connect(registerWebhook=True, name="The shop's")
    mine = await business.connect(registerWebhook=True)
    own = await _secret(business, mine["id"])
    await business.update_integration(mine["id"], webhookSecret=await _secret(business, theirs["id"]))
    await _post(business, mine, "whsec_forgedForgedForged")

    found = await business.check(mine["id"])

    assert own != await _secret(business, mine["id"])
    assert found == ["SIGNATURES_FAILING"]
    assert "The shop's" in (await _told(business, mine["id"], "SIGNATURES_FAILING"))["message"]


async def test_another_integrations_secret_is_recognized_by_what_it_signed(
    business: Business, registered: Json
) -> None:
    theirs = await business.connect(registerWebhook=True, name="The shop's")
    status = await _post(business, registered, await _secret(business, theirs["id"]))

    found = await business.check(registered["id"])

    assert (status, found) == (400, ["SIGNATURES_FAILING"])
    assert "The shop's" in (await _told(business, registered["id"], "SIGNATURES_FAILING"))["message"]


async def test_signatures_that_fail_are_explained_as_far_as_they_can_be(business: Business, registered: Json) -> None:
    raw = body(payment_intent_succeeded())
    messages = []

    await _post(business, registered, "whsec_forgedForgedForged")
    await business.check(registered["id"])
    messages.append((await _told(business, registered["id"], "SIGNATURES_FAILING"))["message"])
    await business.post(registered["webhookUrl"], raw, {"content-type": "application/json"})
    await business.check(registered["id"])
    messages.append((await _told(business, registered["id"], "SIGNATURES_FAILING"))["message"])

    assert "another endpoint's" in messages[0]
    assert "they have none" in messages[1]


async def test_signatures_from_another_time_are_a_matter_of_the_clock(business: Business, registered: Json) -> None:
    secret = await _secret(business, registered["id"])

    status = await _post(business, registered, secret, time.time() - 900)

    assert (status, await business.check(registered["id"])) == (400, ["CLOCK_SKEW"])
    assert await _post(business, registered, secret) == 200
    assert await business.check(registered["id"]) == []


# --- Silence ---------------------------------------------------------------------------------------------------


async def _checked_hours_after_connecting(business: Business, id_: str, *, came: bool = False) -> list[Diagnosis]:
    """Check as if it had been connected hours ago, and an event counted as late after no time at all."""
    long_ago = utc_now() - timedelta(hours=3)
    async with transaction() as tx:
        await scoped(Integration, business.workspace.id).filter(id=id_).update(webhook_secret_saved_at=long_ago)
        await tx.execute(
            "UPDATE integration_traffic SET last_event_at = $2, last_rejected_at = NULL WHERE integration_id = $1",
            id_,
            utc_now() if came else long_ago,
        )
    services = business.services
    checkup = Checkup(
        services.keyring,
        services.gateway,
        services.public_url,
        services.feed.wake,
        on_key_accepted=lifecycle.retry,
        missed_after=timedelta(0),
    )
    return await checkup.check(await _row(business, id_))


async def test_silence_is_told_when_stripe_has_events_that_never_came(business: Business, by_hand: Json) -> None:
    """Whether they are of our links or not: an endpoint is sent all of its account's."""
    await _add_endpoint(business, by_hand["webhookUrl"])
    invoice = await business.finalized("20.00")
    quiet = await _checked_hours_after_connecting(business, by_hand["id"])
    await business.stripe.pay(invoice["paymentLink"]["stripeId"])

    async def is_silent() -> bool:
        found = await _checked_hours_after_connecting(business, by_hand["id"])
        return [each.code for each in found] == ["EVENTS_NOT_ARRIVING"]

    await eventually(is_silent)
    assert quiet == []
    assert "syncStripeEvents" in (await _told(business, by_hand["id"], "EVENTS_NOT_ARRIVING"))["fix"]
    await _post(business, by_hand, SECRET)
    assert (await business.integration(by_hand["id"]))["health"]["problems"] == []
    assert await _checked_hours_after_connecting(business, by_hand["id"], came=True) == []


# --- Repairing -------------------------------------------------------------------------------------------------


async def _verifies(business: Business, integration: Json) -> bool:
    """Whether what Stripe signs for the integration's only endpoint is verified here, by a real post of a paid link."""
    endpoint = await _only_endpoint(business)
    secret = await _secret(business, integration["id"])
    keys = {call["idempotency_key"] for call in await business.stripe.calls("POST", ENDPOINTS)} - {None}
    for key in sorted(keys):
        made = await business.services.gateway.register_webhook(business.stripe.key(), endpoint["url"], key)
        if made.provider_id == endpoint["id"]:
            return made.secret == secret and endpoint["url"] == integration["webhookUrl"]
    return False


async def test_where_nothing_is_the_matter_a_repair_changes_nothing(business: Business, registered: Json) -> None:
    before, log = await _only_endpoint(business), await books.log_types(business.workspace)

    assert await business.repair(registered["id"]) == []

    assert await _only_endpoint(business) == before
    assert await books.log_types(business.workspace) == log


async def test_a_missing_endpoint_is_added_and_its_secret_known(business: Business, by_hand: Json) -> None:
    assert await business.repair(by_hand["id"]) == ["ENDPOINT_MISSING"]

    assert await _verifies(business, by_hand)
    assert (await _only_endpoint(business))["enabled_events"] == list(EVENTS_TO_SEND)
    assert await _post(business, by_hand, SECRET) == 200  # as long as Stripe may still sign with the old one
    assert await business.repair(by_hand["id"]) == []


async def test_a_secret_that_was_never_pasted_is_not_needed(business: Business) -> None:
    integration = await business.connect()

    repaired = await business.repair(integration["id"])

    assert repaired == ["WEBHOOK_SECRET_MISSING", "ENDPOINT_MISSING"]
    assert await _verifies(business, integration)
    assert (await business.integration(integration["id"]))["status"] == "READY"


async def test_a_disabled_endpoint_is_enabled(business: Business, registered: Json) -> None:
    before = await _only_endpoint(business)
    await _change_endpoint(business, before["id"], disabled="true")

    assert await business.repair(registered["id"]) == ["ENDPOINT_DISABLED"]

    assert await _only_endpoint(business) == before


async def test_an_endpoint_that_went_astray_is_brought_back(business: Business, registered: Json) -> None:
    before = await _only_endpoint(business)
    await _change_endpoint(business, before["id"], url=f"{before['url']}/")

    assert await business.repair(registered["id"]) == ["ENDPOINT_OTHER_URL"]

    assert await _only_endpoint(business) == before


async def test_an_endpoint_that_went_astray_beside_the_right_one_is_removed(
    business: Business, registered: Json
) -> None:
    before = await _only_endpoint(business)
    await _add_endpoint(business, f"{before['url']}/")

    assert await business.repair(registered["id"]) == ["ENDPOINT_OTHER_URL"]

    assert await _only_endpoint(business) == before


async def test_events_are_added_to_those_that_are_selected(business: Business, by_hand: Json) -> None:
    given = {"enabled_events[]": [*NEEDED[1:], "charge.succeeded"]}
    endpoint_id = await _add_endpoint(business, by_hand["webhookUrl"], **given)

    assert await business.repair(by_hand["id"]) == ["ENDPOINT_EVENTS_MISSING"]

    endpoint = await _only_endpoint(business)
    assert endpoint["id"] == endpoint_id
    assert set(endpoint["enabled_events"]) == {*EVENTS_TO_SEND, "charge.succeeded"}


async def test_endpoints_whose_secret_nobody_knows_are_replaced_by_one(business: Business, registered: Json) -> None:
    before = await _only_endpoint(business)
    await _add_endpoint(business, registered["webhookUrl"])
    await _post(business, registered, "whsec_forgedForgedForged")

    repaired = await business.repair(registered["id"])

    assert repaired == ["SIGNATURES_FAILING", "ENDPOINT_DUPLICATED"]
    assert (await _only_endpoint(business))["id"] != before["id"]
    assert await _verifies(business, registered)
    assert (await _row(business, registered["id"])).webhook_endpoint_id == (await _only_endpoint(business))["id"]


async def test_an_endpoint_of_an_old_version_is_replaced(business: Business, by_hand: Json) -> None:
    await _add_endpoint(business, by_hand["webhookUrl"], api_version="2019-12-03")

    assert await business.repair(by_hand["id"]) == ["ENDPOINT_API_VERSION_OLD"]

    assert (await _only_endpoint(business))["api_version"] == "2026-10-28.endive"
    assert await _verifies(business, by_hand)


async def test_repaired_several_times_at_once_one_endpoint_is_left_that_verifies(
    business: Business, by_hand: Json
) -> None:
    await asyncio.gather(*(business.repair(by_hand["id"]) for _ in range(4)))

    assert await _verifies(business, by_hand)
    assert await business.check(by_hand["id"]) == []


async def test_only_what_is_asked_for_is_mended(business: Business, by_hand: Json) -> None:
    endpoint_id = await _add_endpoint(business, by_hand["webhookUrl"], **{"enabled_events[]": NEEDED[1:]})
    await _change_endpoint(business, endpoint_id, disabled="true")

    repaired = await business.repair(by_hand["id"], ["ENDPOINT_DISABLED"])
    nothing = await business.repair(by_hand["id"], [])

    assert (repaired, nothing) == (["ENDPOINT_DISABLED"], [])
    assert await business.check(by_hand["id"]) == ["ENDPOINT_EVENTS_MISSING"]


@pytest.mark.parametrize("code", ["NO_SUCH_CODE", "KEY_REJECTED", "EVENTS_NOT_ARRIVING"])
async def test_what_can_not_be_mended_from_here_is_refused(business: Business, registered: Json, code: str) -> None:
    given = {"id": registered["id"], "codes": ["ENDPOINT_MISSING", code]}

    refusal = await business.mutate(documents.REPAIR_INTEGRATION, **given)

    assert (refusal["__typename"], refusal["path"]) == ("InvalidInput", ["codes"])
    assert code in refusal["message"]


@pytest.mark.parametrize(("status", "code"), [(401, "KEY_REJECTED"), (500, "STRIPE_UNREACHABLE")])
async def test_a_repair_is_refused_when_stripe_does_not_let_it(
    business: Business, registered: Json, status: int, code: str
) -> None:
    await business.stripe.fault("status_before", method="GET", path="/v1/events", status=status, times=2)

    refusal = await business.mutate(documents.REPAIR_INTEGRATION, id=registered["id"])

    assert (refusal["__typename"], refusal["code"]) == ("StripeRefused", code)


async def test_a_repair_that_stripe_refuses_leaves_all_as_it_was(business: Business, by_hand: Json) -> None:
    endpoint_id = await _add_endpoint(business, by_hand["webhookUrl"], api_version="2019-12-03")
    await business.stripe.fault("status_before", path=ENDPOINTS, status=400)

    refusal = await business.mutate(documents.REPAIR_INTEGRATION, id=by_hand["id"])

    assert (refusal["__typename"], refusal["code"]) == ("StripeRefused", "WEBHOOK_NOT_REGISTERED")
    assert (await _only_endpoint(business))["id"] == endpoint_id
    assert await _secret(business, by_hand["id"]) == SECRET


async def test_verified_money_that_cannot_be_read_is_counted_and_named(business: Business) -> None:
    integration = await business.connect()
    invoice = await business.finalized("20.00")
    unread = payment_intent_succeeded(invoice_id=invoice["id"], currency="dollars")
    nothing = {"id": fresh("evt"), "object": "event", "type": "customer.created", "livemode": "maybe"}

    for event in (unread, nothing):
        await business.deliver(integration["id"], event)

    health = await business.integration(integration["id"])
    assert health["health"]["unreadable"] == 1
    (problem,) = [each for each in health["health"]["problems"] if each["code"] == "EVENTS_UNREADABLE"]
    assert problem["message"].startswith("1 verified webhook event")
    assert "markInvoicePaid" in problem["fix"]


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("http://127.0.0.1:8000", True),
        ("http://localhost:8000", True),
        ("http://[::1]:8000", True),
        ("https://pay.example", False),
        ("https://10.0.0.7", False),
    ],
)
async def test_a_url_that_only_this_machine_can_reach_is_told(business: Business, url: str, found: bool) -> None:
    services = replace(business.services, public_url=url)
    there = replace(business, services=services, admin=Caller(services, business.admin.authorization))
    integration = await there.connect(webhookSecret=SECRET)

    problems = {each["code"]: each for each in (await there.integration(integration["id"]))["health"]["problems"]}

    assert ("PUBLIC_URL_LOCAL" in problems) is found
    assert not found or url in problems["PUBLIC_URL_LOCAL"]["message"]


async def test_what_is_forwarded_shows_that_this_machine_is_reached(business: Business) -> None:
    """With the secret of `stripe listen`, beside an endpoint that is registered with another integration."""
    registered = await business.connect(registerWebhook=True)
    invoice = await business.finalized("20.00")
    forwarded = await business.connect(webhookSecret=SECRET)
    paid = payment_intent_succeeded(
        amount=2000, currency="usd", invoice_id=invoice["id"], workspace_id=business.workspace.id
    )
    raw = body(paid)

    by_endpoint = await business.post(
        registered["webhookUrl"], raw, signed_headers(raw, await _secret(business, registered["id"]))
    )
    by_cli = await business.post(forwarded["webhookUrl"], raw, signed_headers(raw, SECRET))

    told = await business.integration(forwarded["id"])
    before = [each["code"] for each in forwarded["health"]["problems"]]
    assert (by_endpoint, by_cli) == (200, 200)
    assert (before, told["health"]["problems"]) == (["PUBLIC_URL_LOCAL", "NO_EVENT_YET"], [])
    assert (await business.invoice(invoice["id"]))["amountPaid"]["amount"] == "20.00"
    assert (await business.happened(invoice["id"])).count(EventType.INVOICE_PAID) == 1
