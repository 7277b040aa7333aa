"""The webhook endpoint: what is answered, what is stored, and how little an outsider learns."""

import asyncio
import re
from datetime import timedelta

import httpx
import pytest
import structlog

from database.access import fetch, transaction
from models.ids import Prefix, new_id
from models.instant import utc_now
from resolvers.context import Services
from tests.webhooks.conftest import Stripe
from tests.world.app import StartApp
from tests.world.local import LOCAL
from tests.world.seed import KEYRING, WEBHOOK_SECRET, Seeded, add_integration, rows, within
from tests.world.stripe_payloads import body, payment_intent_succeeded, signed_headers
from webhooks import body as reading
from webhooks.body import MAX_BODY_BYTES
from webhooks.directory import Directory
from webhooks.stripe import PostOutcome

FORGED = "whsec_forged"
UNKNOWN_TOKEN = "u" * 32


async def stored() -> int:
    (row,) = await fetch("SELECT count(*) AS n FROM webhook_events")
    count: int = row["n"]
    return count


async def test_a_signed_delivery_is_stored_before_it_is_acknowledged(stripe: Stripe, integration: Seeded) -> None:
    payload = body(payment_intent_succeeded())

    answer = await stripe.post(integration, payload, WEBHOOK_SECRET)

    assert (answer.status, answer.json) == (200, {"received": True})
    (kept,) = await fetch("SELECT payload, integration_id FROM webhook_events")
    assert (kept["payload"], kept["integration_id"]) == (payload, integration.id)
    assert stripe.outcomes == {PostOutcome.ACCEPTED: 1}


async def test_a_forged_delivery_is_refused_and_counted(stripe: Stripe, integration: Seeded) -> None:
    payload = body(payment_intent_succeeded())

    answers = await asyncio.gather(*(stripe.post(integration, payload, FORGED) for _ in range(50)))

    assert {answer.status for answer in answers} == {400}
    (kept,) = await fetch("SELECT status, deliveries FROM webhook_events")
    assert (kept["status"], kept["deliveries"]) == ("QUARANTINED", 50)
    traffic = await integration.traffic()
    assert (traffic["rejected"], traffic["deliveries"]) == (50, 0)
    assert traffic["last_rejected_at"] is not None


async def test_every_refusal_looks_the_same(stripe: Stripe, workspace_id: str, integration: Seeded) -> None:
    """No secret, no signature, a wrong one: an outsider is not told which."""
    payload = body(payment_intent_succeeded())
    without_secret = await add_integration(workspace_id, webhook_secret=None)

    answers = [
        await stripe.post(without_secret, payload, WEBHOOK_SECRET),
        await stripe.post(integration, payload, FORGED),
        await stripe.send(integration.webhook_path, [payload]),
        await stripe.send(integration.webhook_path, [b""], {"Stripe-Signature": "é=\x00,t=1"}),
    ]

    assert [answer.status for answer in answers] == [400] * 4
    assert all(answer.messages == answers[0].messages for answer in answers)


async def test_an_unknown_token_is_not_found(stripe: Stripe, integration: Seeded) -> None:
    for token in (UNKNOWN_TOKEN, "", "x", f"{integration.token}/", f"{integration.token}/x", "\x00" * 32, "é" * 32):
        assert (await stripe.send(f"/webhooks/stripe/{token}", [b"{}"])).status == 404


async def test_a_saved_secret_counts_at_once(stripe: Stripe, integration: Seeded) -> None:
    """Though this worker knew the integration a moment ago, with the secret it had then."""
    payload = body(payment_intent_succeeded())
    await stripe.post(integration, payload, WEBHOOK_SECRET)

    await integration.change(webhook_secret_sealed=integration.seal("whsec_rotated"))

    assert (await stripe.post(integration, payload, "whsec_rotated")).status == 200
    assert (await stripe.post(integration, payload, WEBHOOK_SECRET)).status == 400


async def test_a_rotated_secret_verifies_until_it_expires(stripe: Stripe, workspace_id: str) -> None:
    payload = body(payment_intent_succeeded())
    in_a_moment = utc_now() + timedelta(seconds=0.5)
    lasting = await add_integration(
        workspace_id, previous_secret="whsec_previous", previous_expires_at=utc_now() + timedelta(hours=1)
    )
    ending = await add_integration(workspace_id, previous_secret="whsec_previous", previous_expires_at=in_a_moment)

    assert (await stripe.post(lasting, payload, "whsec_previous")).status == 200
    assert (await stripe.post(lasting, payload, WEBHOOK_SECRET)).status == 200
    assert (await stripe.post(ending, payload, "whsec_previous")).status == 200
    await asyncio.sleep(0.6)
    assert (await stripe.post(ending, payload, "whsec_previous")).status == 400
    assert (await stripe.post(ending, payload, WEBHOOK_SECRET)).status == 200


async def test_a_disconnected_integration_is_not_found(stripe: Stripe, integration: Seeded) -> None:
    """Though this worker knew it a moment ago."""
    payload = body(payment_intent_succeeded())
    await stripe.post(integration, payload, WEBHOOK_SECRET)

    async with transaction() as tx:
        await tx.execute(
            "UPDATE integrations SET disconnected_at = $2, webhook_token = NULL, secret_key_sealed = NULL,"
            " webhook_secret_sealed = NULL WHERE id = $1",
            integration.id,
            utc_now(),
        )

    assert (await stripe.post(integration, body(payment_intent_succeeded()), WEBHOOK_SECRET)).status == 404
    assert (await stripe.post(integration, payload, FORGED)).status == 404
    assert await stored() == 1


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PROPFIND"])
async def test_only_post_is_allowed(stripe: Stripe, integration: Seeded, method: str) -> None:
    answer = await stripe.send(integration.webhook_path, method=method)

    assert answer.status == 405
    assert answer.headers[b"allow"] == b"POST"


async def test_a_body_is_bounded_by_what_it_says_and_by_what_it_is(stripe: Stripe, integration: Seeded) -> None:
    says = [str(MAX_BODY_BYTES + 1), "9" * 30]
    chunks = [b"x" * (MAX_BODY_BYTES // 4)] * 4

    for length in says:
        answer = await stripe.send(integration.webhook_path, [], {"Content-Length": length}, then="wait")
        assert (answer.status, answer.headers[b"connection"]) == (413, b"close")
    assert (await stripe.send(integration.webhook_path, [*chunks, b"x"], then="wait")).status == 413
    assert (await stripe.send(integration.webhook_path, [b"x" * (MAX_BODY_BYTES + 1)])).status == 413
    largest = b'{"pad": "' + b" " * (MAX_BODY_BYTES - 11) + b'"}'
    parts = [largest[:1000], b"", largest[1000:]]
    headers = signed_headers(largest, WEBHOOK_SECRET) | {"Content-Length": str(MAX_BODY_BYTES)}
    assert (await stripe.send(integration.webhook_path, parts, headers)).status == 200


async def test_a_body_that_does_not_come_is_not_waited_for(
    stripe: Stripe, integration: Seeded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "BODY_TIMEOUT_S", 0.05)

    answer = await stripe.send(integration.webhook_path, [b"{"], then="wait")

    assert (answer.status, answer.headers[b"connection"]) == (408, b"close")


async def test_a_request_cancelled_from_outside_is_cancelled(stripe: Stripe, integration: Seeded) -> None:
    """As the server does when it has waited long enough for the last requests."""
    request = asyncio.create_task(stripe.send(integration.webhook_path, [b"{"], then="wait"))
    await asyncio.sleep(0.05)

    request.cancel()

    with pytest.raises(asyncio.CancelledError):
        await request


async def test_a_client_that_hangs_up_halfway_is_not_answered(stripe: Stripe, integration: Seeded) -> None:
    answer = await stripe.send(integration.webhook_path, [b"{"], then="hang up")

    assert answer.messages == []
    assert stripe.outcomes == {PostOutcome.GONE: 1}


async def test_when_the_inbox_refuses_stripe_is_asked_to_come_again(
    stripe: Stripe, services: Services, integration: Seeded
) -> None:
    await services.inbox.__aexit__()

    answer = await stripe.post(integration, body(payment_intent_succeeded()), WEBHOOK_SECRET)

    assert (answer.status, answer.json) == (503, {"error": "unavailable"})
    assert int(answer.headers[b"retry-after"]) > 0


async def test_what_is_kept_but_could_not_be_applied_stripe_is_asked_to_post_again(
    stripe: Stripe, services: Services, integration: Seeded
) -> None:
    payload = body(payment_intent_succeeded(invoice_id=new_id(Prefix.INVOICE)))
    on_postgres = services.database.dialect == "postgres"
    async with transaction() as tx:
        await tx.execute(
            "ALTER TABLE payments ADD CONSTRAINT broken CHECK (false)"
            if on_postgres
            else "CREATE TRIGGER broken BEFORE INSERT ON payments BEGIN SELECT RAISE(ABORT, 'broken'); END"
        )
    with structlog.testing.capture_logs():
        refused = await stripe.post(integration, payload, WEBHOOK_SECRET)
    failed = await fetch("SELECT status, payload FROM webhook_events")
    async with transaction() as tx:
        await tx.execute("ALTER TABLE payments DROP CONSTRAINT broken" if on_postgres else "DROP TRIGGER broken")

    answer = await stripe.post(integration, payload, WEBHOOK_SECRET)

    assert (refused.status, refused.json) == (503, {"error": "unavailable"})
    assert [(row["status"], row["payload"]) for row in failed] == [("FAILED", payload)]
    assert answer.status == 200
    (kept,) = await fetch("SELECT status, deliveries FROM webhook_events")
    assert (kept["status"], kept["deliveries"]) == ("UNAPPLIED", 2)
    assert stripe.outcomes == {PostOutcome.FAILED: 1, PostOutcome.ACCEPTED: 1}


async def test_when_the_integration_cannot_be_read_stripe_is_asked_to_come_again(
    stripe: Stripe, services: Services, integration: Seeded
) -> None:
    """Rather than refused: 4xx is only said after looking."""
    await stripe.post(integration, body(payment_intent_succeeded()), WEBHOOK_SECRET)
    await services.database.__aexit__()

    with structlog.testing.capture_logs():
        forged = await stripe.post(integration, body(payment_intent_succeeded()), FORGED)
        unknown = await stripe.send(f"/webhooks/stripe/{UNKNOWN_TOKEN}")

    assert (forged.status, unknown.status) == (503, 503)


async def test_however_many_ask_for_an_integration_it_is_read_rarely(integration: Seeded) -> None:
    """A flood of forgeries costs the database two reads at a time."""
    directory = Directory(KEYRING)
    reads = 0
    read = directory._read

    async def counted(token: str, began_at: float) -> object:
        nonlocal reads
        reads += 1
        return await read(token, began_at)

    directory._read = counted  # type: ignore[method-assign, assignment]
    found = await asyncio.gather(*(directory.find(integration.token) for _ in range(100)))

    assert {listener.origin.integration_id for listener in found if listener} == {integration.id}
    assert reads <= 2


async def test_secrets_are_not_represented(integration: Seeded) -> None:
    listener = await Directory(KEYRING).find(integration.token)

    assert listener is not None
    assert listener.secret == WEBHOOK_SECRET
    assert WEBHOOK_SECRET not in repr(listener)


def test_the_server_answers_webhooks_past_its_router(migrated_sqlite_url: str, start_app: StartApp) -> None:
    """With a request id and a count, and without a trace of the token in the log."""
    app = start_app(migrated_sqlite_url)
    workspace = app.workspace()
    integration = within(migrated_sqlite_url, lambda: add_integration(workspace.id))
    payload = body(payment_intent_succeeded())

    with httpx.Client(base_url=app.url, **LOCAL) as client:
        accepted = client.post(
            integration.webhook_path,
            content=payload,
            headers={**signed_headers(payload, WEBHOOK_SECRET), "X-Request-Id": "from-the-proxy.1"},
        )
        forged = client.post(
            f"{integration.webhook_path}?q=hush", content=payload, headers=signed_headers(payload, FORGED)
        )
        wrong = client.get(integration.webhook_path, headers={"X-Request-Id": "not sane!"})
        counted = client.get("/metrics").text
    app.stop()

    assert (accepted.status_code, accepted.headers["x-request-id"]) == (200, "from-the-proxy.1")
    assert forged.status_code == 400
    assert wrong.status_code == 405
    assert re.fullmatch(r"[0-9a-f]{32}", wrong.headers["x-request-id"])
    assert 'fluxrate_http_requests_total{route="/webhooks/stripe/{token}",status="200"} 1.0' in counted
    assert 'fluxrate_webhook_deliveries_total{outcome="rejected"} 1.0' in counted
    assert "fluxrate_webhook_seconds_count 1.0" in counted
    assert integration.token not in app.stderr
    assert "hush" not in app.stderr
    assert rows(migrated_sqlite_url, "SELECT rejected FROM integration_traffic")[0]["rejected"] == 1
