"""Asking: by id, in pages, and without a statement per row."""

from datetime import timedelta
from typing import Any

import pytest

from models.instant import utc_now
from models.kinds import EventType, InvoiceStatus, PaymentStatus, WebhookEventStatus
from models.workspace import Workspace
from resolvers.reading import counts
from tests.world.caller import Caller
from tests.world.rows import AT, Rows
from tests.world.statements import statements


async def test_the_viewer_is_the_caller(reader: Caller, callers_workspace: Workspace) -> None:
    """With the newest place of the history, from which a subscription misses nothing."""
    answer = await reader.query(
        "{ viewer { workspace { id name mode eventCursor } apiKey { name scopes preview lastUsedAt } } }"
    )

    assert answer["viewer"]["workspace"] == {
        "id": callers_workspace.id,
        "name": "Acme",
        "mode": "TEST",
        "eventCursor": f"{callers_workspace.id.removeprefix('ws_')}.0",
    }
    assert answer["viewer"]["apiKey"]["scopes"] == ["READ"]


# --- By id -----------------------------------------------------------------------------------------------------

_NODE = "query ($id: ID!) { node(id: $id) { __typename id } }"


async def test_every_kind_of_id_is_found(admin: Caller, rows: Rows, callers_workspace: Workspace) -> None:
    """By its prefix."""
    customer, integration = await rows.customer(), await rows.integration()
    invoice = await rows.invoice(customer)
    payment = await rows.payment(integration, invoice)
    webhook_event = await rows.webhook_event(integration)
    event = await rows.event(EventType.INVOICE_CREATED, invoice_id=invoice.id)
    viewer = await admin.query("{ viewer { apiKey { id } } }")
    kinds = {
        callers_workspace.id: "Workspace",
        viewer["viewer"]["apiKey"]["id"]: "ApiKey",
        customer.id: "Customer",
        integration.id: "StripeIntegration",
        invoice.id: "Invoice",
        payment.id: "Payment",
        webhook_event.id: "WebhookEvent",
        event.id: "Event",
    }

    found = {id_: (await admin.query(_NODE, id=id_))["node"] for id_ in kinds}

    assert found == {id_: {"__typename": kind, "id": id_} for id_, kind in kinds.items()}


@pytest.mark.parametrize("id_", ["", "inv_", "inv_00000000000000000000000000", "pl_00000000000000000000000000", "é"])
async def test_an_id_that_names_nothing_is_null(admin: Caller, id_: str) -> None:
    """Nor is it an error."""
    assert await admin.query(_NODE, id=id_) == {"node": None}


async def test_another_workspaces_things_are_null(stranger: Caller, rows: Rows, callers_workspace: Workspace) -> None:
    """Exactly as if they did not exist."""
    invoice = await rows.invoice(await rows.customer())

    for id_ in (callers_workspace.id, invoice.id, invoice.customer_id):
        assert await stranger.query(_NODE, id=id_) == {"node": None}
    found = await stranger.query(
        """query ($id: ID!, $n: String!) {
          invoice(id: $id) { id } invoiceByNumber(number: $n) { id } invoices { totalCount }
        }""",
        id=invoice.id,
        n=invoice.number,
    )
    assert found == {"invoice": None, "invoiceByNumber": None, "invoices": {"totalCount": 0}}


async def test_an_api_key_is_found_by_admins_only(admin: Caller, reader: Caller) -> None:
    """Others see that there is something called apiKeys, and that they may not."""
    viewer = await admin.query("{ viewer { apiKey { id } } }")

    assert await reader.query(_NODE, id=viewer["viewer"]["apiKey"]["id"]) == {"node": None}
    answer, (error,) = await reader.execute("{ apiKeys { totalCount } viewer { workspace { name } } }")
    assert answer == {"apiKeys": None, "viewer": {"workspace": {"name": "Acme"}}}
    assert error["extensions"] == {"code": "FORBIDDEN"}


async def test_an_id_of_another_kind_is_null(reader: Caller, rows: Rows) -> None:
    """A customer is no invoice."""
    customer = await rows.customer()

    assert await reader.query("query ($id: ID!) { invoice(id: $id) { id } }", id=customer.id) == {"invoice": None}


# --- Pages -----------------------------------------------------------------------------------------------------

_PAGE = """
query ($first: Int, $after: String, $last: Int, $before: String, $order: OrderDirection) {
  customers(first: $first, after: $after, last: $last, before: $before, order: $order) {
    nodes { name } edges { cursor node { name } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}
"""


async def test_pages_follow_one_another_in_both_directions(reader: Caller, rows: Rows) -> None:
    """Newest first, unless told otherwise."""
    for name in "abcde":
        await rows.customer(name=name)

    first = (await reader.query(_PAGE, first=2))["customers"]
    second = (await reader.query(_PAGE, first=2, after=first["pageInfo"]["endCursor"]))["customers"]
    back = (await reader.query(_PAGE, last=1, before=second["pageInfo"]["startCursor"]))["customers"]
    end = (await reader.query(_PAGE, last=2))["customers"]
    oldest = (await reader.query(_PAGE, first=2, order="ASC"))["customers"]

    assert _names(first) == "ed"
    assert _names(second) == "cb"
    assert _names(back) == "d"
    assert _names(end) == "ba"
    assert _names(oldest) == "ab"
    assert (first["pageInfo"]["hasNextPage"], first["pageInfo"]["hasPreviousPage"]) == (True, False)
    assert (back["pageInfo"]["hasNextPage"], back["pageInfo"]["hasPreviousPage"]) == (True, True)
    assert [edge["node"]["name"] for edge in first["edges"]] == ["e", "d"]
    assert first["edges"][-1]["cursor"] == first["pageInfo"]["endCursor"]


def _names(connection: dict[str, list[dict[str, str]]]) -> str:
    return "".join(node["name"] for node in connection["nodes"])


@pytest.mark.parametrize("arguments", ["first: 0", "first: 101", "last: -1", "first: 1, last: 1", 'after: "?"'])
async def test_a_page_that_can_not_be_is_refused(reader: Caller, arguments: str) -> None:
    """Whether the list is nested or not."""
    error = await reader.refusal(f"{{ customers({arguments}) {{ totalCount }} }}")

    assert error["extensions"] == {"code": "INVALID_INPUT"}


async def test_a_list_is_counted_only_when_asked(reader: Caller, rows: Rows) -> None:
    """Counting reads all of it."""
    await rows.customer()
    with statements() as without:
        await reader.query("{ customers { nodes { id } } }")
    with statements() as with_count:
        answer = await reader.query("{ customers(first: 1) { totalCount } }")

    assert not any("COUNT" in statement for statement in without)
    assert sum("COUNT" in statement for statement in with_count) == 1
    assert answer["customers"]["totalCount"] == 1


async def test_a_page_of_invoices_takes_a_statement_per_kind(reader: Caller, rows: Rows) -> None:
    """However many invoices there are, and whatever hangs on them."""
    integration = await rows.integration()
    for _ in range(3):
        customer = await rows.customer()
        for _ in range(4):
            invoice = await rows.invoice(customer)
            await rows.payment_link(invoice, integration)
            for _ in range(3):
                await rows.payment(integration, invoice)
    operation = await reader.operation()
    document = """
      { invoices(first: 100) { nodes {
          id total { amount } customer { name } payments(first: 2) { nodes { id } pageInfo { hasNextPage } }
          paymentLink { url } lineItems { description } timeline { nodes { type } }
      } } }
    """

    with statements() as sent:
        from execution.schema import schema

        result = await schema.execute(document, context_value=operation)

    assert result.errors is None
    assert result.data is not None
    assert len(result.data["invoices"]["nodes"]) == 12
    assert all(len(node["payments"]["nodes"]) == 2 for node in result.data["invoices"]["nodes"])
    assert all(node["payments"]["pageInfo"]["hasNextPage"] for node in result.data["invoices"]["nodes"])
    assert len(sent) == 6  # invoices, customers, payments, links, lines, events


async def test_payments_of_an_invoice_are_newest_first_and_paged(reader: Caller, rows: Rows) -> None:
    """A page after a cursor continues one that was loaded with others'."""
    integration, invoice = await rows.integration(), await rows.invoice(await rows.customer())
    made = [(await rows.payment(integration, invoice)).id for _ in range(4)]
    document = """
      query ($id: ID!, $first: Int, $after: String, $last: Int) { invoice(id: $id) {
        payments(first: $first, after: $after, last: $last) {
          nodes { id } totalCount pageInfo { endCursor hasNextPage hasPreviousPage }
        } } }
    """

    first = (await reader.query(document, id=invoice.id, first=3))["invoice"]["payments"]
    rest = await reader.query(document, id=invoice.id, first=3, after=first["pageInfo"]["endCursor"])
    last = (await reader.query(document, id=invoice.id, last=1))["invoice"]["payments"]

    assert [node["id"] for node in first["nodes"]] == made[:0:-1]
    assert [node["id"] for node in rest["invoice"]["payments"]["nodes"]] == made[:1]
    assert [node["id"] for node in last["nodes"]] == made[:1]
    assert (first["totalCount"], first["pageInfo"]["hasNextPage"], last["pageInfo"]["hasPreviousPage"]) == (
        4,
        True,
        True,
    )


async def test_a_timeline_is_oldest_first_with_the_historys_cursors(reader: Caller, rows: Rows) -> None:
    """The same place has the same cursor wherever it is listed."""
    invoice = await rows.invoice(await rows.customer())
    await rows.event(EventType.CUSTOMER_CREATED)
    for type_ in (EventType.INVOICE_CREATED, EventType.INVOICE_FINALIZED):
        await rows.event(type_, invoice_id=invoice.id)
    document = """
      query ($id: ID!, $after: String) {
        invoice(id: $id) { timeline(after: $after) { nodes { type cursor } pageInfo { endCursor } } }
        events(filter: {type: [INVOICE_FINALIZED]}) { nodes { cursor } }
      }
    """

    whole = await reader.query(document, id=invoice.id)
    rest = await reader.query(document, id=invoice.id, after=whole["invoice"]["timeline"]["nodes"][0]["cursor"])

    timeline = whole["invoice"]["timeline"]
    assert [node["type"] for node in timeline["nodes"]] == ["INVOICE_CREATED", "INVOICE_FINALIZED"]
    assert timeline["pageInfo"]["endCursor"] == whole["events"]["nodes"][0]["cursor"]
    assert [node["type"] for node in rest["invoice"]["timeline"]["nodes"]] == ["INVOICE_FINALIZED"]


async def test_events_are_narrowed_to_who_did_them_and_when(reader: Caller, rows: Rows) -> None:
    day = timedelta(days=1)
    days = [
        await rows.event(EventType.CUSTOMER_CREATED, actor=f"key_{n % 2}", occurred_at=AT + n * day) for n in range(9)
    ]
    document = "query ($filter: EventFilter) { events(filter: $filter) { nodes { id } totalCount } }"

    async def found(**filter_: object) -> list[str]:
        answer = (await reader.query(document, filter=filter_))["events"]
        assert answer["totalCount"] == len(answer["nodes"])
        return [node["id"] for node in answer["nodes"]]

    ids = [event.id for event in days]
    assert await found(actor="key_1") == ids[1::2]
    assert await found(actor="stripe") == []
    assert await found(occurredAfter=(AT + 3 * day).isoformat()) == ids[4:]
    assert await found(occurredBefore=(AT + 3 * day).isoformat()) == ids[:3]
    assert await found(occurredAfter=AT.isoformat(), occurredBefore=(AT + day).isoformat()) == []
    assert await found(occurredAfter=(AT + 99 * day).isoformat()) == []
    assert await found(occurredBefore=(AT - 99 * day).isoformat()) == []


async def test_an_event_cursor_from_elsewhere_is_refused(reader: Caller, stranger: Caller, rows: Rows) -> None:
    """From another workspace, from the future, or made up."""
    await rows.event(EventType.CUSTOMER_CREATED)
    own = (await reader.query("{ viewer { workspace { eventCursor } } }"))["viewer"]["workspace"]["eventCursor"]
    foreign = (await stranger.query("{ viewer { workspace { eventCursor } } }"))["viewer"]["workspace"]["eventCursor"]

    for cursor in (foreign, f"{own}0", "made up", ""):
        error = await reader.refusal("query ($after: String) { events(after: $after) { totalCount } }", after=cursor)
        assert error["extensions"] == {"code": "INVALID_CURSOR"}


# --- Filters ---------------------------------------------------------------------------------------------------


async def test_invoices_are_filtered(reader: Caller, rows: Rows) -> None:
    """Everything that is given must hold; null asks for nothing."""
    ada, bob = await rows.customer(), await rows.customer()
    late = await rows.invoice(ada, due_date=(utc_now() - timedelta(days=2)).date())
    draft = await rows.invoice(ada, status=InvoiceStatus.DRAFT, currency="EUR")
    other = await rows.invoice(bob)
    document = "query ($filter: InvoiceFilter) { invoices(filter: $filter) { nodes { id isOverdue } } }"

    async def found(**filter_: object) -> list[str]:
        return [node["id"] for node in (await reader.query(document, filter=filter_))["invoices"]["nodes"]]

    assert await found() == [other.id, draft.id, late.id]
    assert await found(customerId=ada.id, status=None) == [draft.id, late.id]
    assert await found(customerId=ada.id, status=["OPEN"]) == [late.id]
    assert await found(overdue=True) == [late.id]
    assert await found(overdue=False) == [other.id, draft.id]
    assert await found(currency="eur") == [draft.id]
    assert await found(createdAfter=AT.isoformat()) == []
    of_customer = "query ($id: ID!) { customer(id: $id) { invoices(filter: {status: [DRAFT]}) { nodes { id } } } }"
    answer = await reader.query(of_customer, id=ada.id)
    assert answer["customer"]["invoices"]["nodes"] == [{"id": draft.id}]


async def test_payments_are_filtered(reader: Caller, rows: Rows) -> None:
    """By what they are and what they are for."""
    integration, invoice = await rows.integration(), await rows.invoice(await rows.customer())
    applied = await rows.payment(integration, invoice)
    unapplied = await rows.payment(integration, None, occurred_at=AT + timedelta(days=1))
    failed = await rows.payment(
        integration, invoice, status=PaymentStatus.FAILED, failure_code="card_declined", currency="EUR"
    )
    document = "query ($filter: PaymentFilter) { payments(filter: $filter) { nodes { id unappliedReason { code } } } }"

    async def found(**filter_: object) -> list[str]:
        return [node["id"] for node in (await reader.query(document, filter=filter_))["payments"]["nodes"]]

    assert await found() == [failed.id, unapplied.id, applied.id]
    assert await found(allocation="UNAPPLIED") == [unapplied.id]
    assert await found(status=["FAILED", "PENDING"]) == [failed.id]
    assert await found(invoiceId=invoice.id, currency="usd") == [applied.id]
    assert await found(occurredAfter=AT.isoformat()) == [unapplied.id]
    assert await found(occurredBefore=AT.isoformat()) == []
    assert await found(integrationId="int_x") == []


async def test_a_customers_payments_are_its_own(reader: Caller, rows: Rows) -> None:
    customer, integration = await rows.customer(), await rows.integration()
    invoice = await rows.invoice(customer)
    first = await rows.payment(integration, invoice)
    second = await rows.payment(integration, invoice)
    await rows.payment(integration, await rows.invoice(await rows.customer()))
    document = """
      query ($id: ID!, $after: String, $filter: PaymentFilter) {
        customer(id: $id) { payments(first: 1, after: $after, filter: $filter)
          { nodes { id } totalCount pageInfo { endCursor hasNextPage } } } }
    """

    async def page(**asked: object) -> Any:
        return (await reader.query(document, id=customer.id, **asked))["customer"]["payments"]

    newest = await page()
    assert (newest["nodes"], newest["totalCount"]) == ([{"id": second.id}], 2)
    assert (await page(after=newest["pageInfo"]["endCursor"]))["nodes"] == [{"id": first.id}]
    assert (await page(filter={"status": ["FAILED"]}))["nodes"] == []
    assert (await page(filter={"customerId": "cust_other", "currency": "USD"}))["totalCount"] == 2


# --- Webhook events --------------------------------------------------------------------------------------------


async def test_a_list_of_webhook_events_reads_no_payload(reader: Caller, rows: Rows) -> None:
    """Unless it is asked for: then all of them with one statement."""
    integration = await rows.integration()
    for body in (b'{"id": "evt_1", "amount": 1999}', b"\x00\xff"):
        await rows.webhook_event(integration, payload=body)
    document = "{ webhookEvents { nodes { id status reason { code } integration { name } %s } } }"

    with statements() as without:
        await reader.query(document % "")
    with statements() as with_payload:
        answer = await reader.query(document % "payload")

    assert not any("payload" in statement for statement in without)
    assert len(with_payload) == len(without) + 1
    assert [node["payload"] for node in answer["webhookEvents"]["nodes"]] == [
        None,
        {"id": "evt_1", "amount": 1999},
    ]


async def test_a_payload_nested_too_deeply_to_be_answered_spoils_no_list(reader: Caller, rows: Rows) -> None:
    integration = await rows.integration()
    await rows.webhook_event(integration, payload=b'{"a":' * 400 + b"1" + b"}" * 400)
    await rows.webhook_event(integration, payload=b'{"id": "evt_1"}')

    answer = await reader.query("{ webhookEvents { nodes { payload } } }")

    assert [node["payload"] for node in answer["webhookEvents"]["nodes"]] == [{"id": "evt_1"}, None]


async def test_webhook_events_are_searched_by_what_they_are_called(reader: Caller, rows: Rows) -> None:
    invoice, integration = await rows.invoice(await rows.customer()), await rows.integration()
    about = await rows.webhook_event(integration, invoice_id=invoice.id, type="charge.refunded")
    named = await rows.webhook_event(integration, provider_event_id="evt_named", type="payment_intent.succeeded")
    document = "query ($filter: WebhookEventFilter) { webhookEvents(filter: $filter) { nodes { id } totalCount } }"

    async def found(**filter_: object) -> list[str]:
        answer = (await reader.query(document, filter=filter_))["webhookEvents"]
        assert answer["totalCount"] == len(answer["nodes"])
        return [node["id"] for node in answer["nodes"]]

    assert await found(search="evt_named") == [named.id]
    assert await found(search=" evt_named ", type=["charge.refunded"]) == []
    assert await found(search="evt_") == []
    assert await found(search=invoice.id) == [about.id]
    assert await found(search=invoice.number) == [about.id]
    assert await found(search="charge.") == [about.id]
    assert await found(search="payment_intent.s") == [named.id]
    assert await found(search="Charge") == []
    assert await found(search="%") == []


async def test_webhook_events_are_told_by_their_reason(reader: Caller, rows: Rows) -> None:
    integration = await rows.integration()
    await rows.webhook_event(integration)
    held = await rows.webhook_event(integration, status=WebhookEventStatus.HELD, reason_code="INTEGRATION_INACTIVE")
    document = "query ($code: String) { webhookEvents(filter: {reasonCode: $code}) { nodes { id } totalCount } }"

    answer = (await reader.query(document, code="INTEGRATION_INACTIVE"))["webhookEvents"]

    assert answer == {"nodes": [{"id": held.id}], "totalCount": 1}
    assert (await reader.query(document, code="NO_METADATA"))["webhookEvents"] == {"nodes": [], "totalCount": 0}


async def test_a_webhook_event_says_why(reader: Caller, rows: Rows) -> None:
    """In the words of the troubleshooting guide, unless it was processed."""
    integration = await rows.integration()
    ignored = await rows.webhook_event(
        integration,
        status=WebhookEventStatus.IGNORED,
        reason_code="UNREADABLE_PAYLOAD",
        reason_detail="currency is missing",
    )
    await rows.webhook_event(integration)
    document = """
      query ($id: ID!, $stripe: String!) {
        webhookEventByStripeId(stripeEventId: $stripe) { id reason { code message fix } }
        stripeIntegration(id: $id) { webhookEvents(filter: {status: [IGNORED]}) { nodes { id } totalCount } }
      }
    """

    answer = await reader.query(document, id=integration.id, stripe=ignored.provider_event_id)

    assert answer["webhookEventByStripeId"]["reason"]["code"] == "UNREADABLE_PAYLOAD"
    assert "currency is missing" in answer["webhookEventByStripeId"]["reason"]["message"]
    assert answer["stripeIntegration"]["webhookEvents"] == {"nodes": [{"id": ignored.id}], "totalCount": 1}


async def test_a_webhook_url_is_for_admins(admin: Caller, reader: Caller, rows: Rows) -> None:
    """Whoever knows it can post to it."""
    integration = await rows.integration(webhook_token="token")
    document = "query ($id: ID!) { stripeIntegration(id: $id) { webhookUrl status health { problems { code } } } }"

    seen = (await admin.query(document, id=integration.id))["stripeIntegration"]

    assert seen["webhookUrl"] == "https://fluxrate.example/webhooks/stripe/token"
    assert seen["status"] == "AWAITING_WEBHOOK_SECRET"
    assert [problem["code"] for problem in seen["health"]["problems"]] == ["WEBHOOK_SECRET_MISSING"]
    assert (await reader.query(document, id=integration.id))["stripeIntegration"]["webhookUrl"] is None


# --- Totals ----------------------------------------------------------------------------------------------------

_TOTALS = """
query ($since: DateTime) { totals(since: $since) {
  currency open { amount } overdue { amount } paid { amount } refunded { amount } overpaid { amount }
  unapplied { amount }
} }
"""


async def test_totals_say_what_stands_open_and_came_in(reader: Caller, rows: Rows) -> None:
    """Per currency; unapplied money is in no other total, drafts and failed attempts in none."""
    integration, customer = await rows.integration(), await rows.customer()
    late = await rows.invoice(
        customer, total=10_000, amount_paid=2_500, due_date=(utc_now() - timedelta(days=2)).date()
    )
    await rows.invoice(customer, total=100)
    await rows.invoice(customer, status=InvoiceStatus.DRAFT, currency="EUR", total=700)
    await rows.invoice(customer, status=InvoiceStatus.PAID, total=300, amount_paid_out_of_band=300)
    await rows.payment(integration, late, amount=2_500, amount_refunded=500, overpaid=100)
    await rows.payment(integration, late, amount=9_999, status=PaymentStatus.FAILED)
    await rows.payment(integration, None, amount=800, currency="JPY", amount_refunded=200)

    answer = await reader.query(_TOTALS)

    assert answer["totals"] == [
        _total("JPY", unapplied="600", zero="0"),
        _total("USD", open="76.00", overdue="75.00", paid="28.00", refunded="5.00", overpaid="1.00"),
    ]


async def test_totals_since_an_instant_count_what_came_in_after_it(reader: Caller, rows: Rows) -> None:
    """What stands open is told as it is now."""
    integration, customer = await rows.integration(), await rows.customer()
    invoice = await rows.invoice(customer, total=10_000, amount_paid=700)
    await rows.invoice(customer, status=InvoiceStatus.PAID, total=300, amount_paid_out_of_band=300)
    await rows.payment(integration, invoice, amount=500)
    await rows.payment(integration, invoice, amount=200, occurred_at=AT + timedelta(seconds=2))

    answer = await reader.query(_TOTALS, since=(AT + timedelta(seconds=1)).isoformat())

    assert answer["totals"] == [_total("USD", open="93.00", paid="2.00")]


async def test_totals_are_nothing_from_the_end_of_time_on(reader: Caller, rows: Rows) -> None:
    integration, customer = await rows.integration(), await rows.customer()
    await rows.payment(integration, await rows.invoice(customer, status=InvoiceStatus.VOID, currency="EUR"))

    for since in ("9999-12-31T00:00:00Z", "9999-12-31T23:59:59.999999Z", "9999-12-30T12:00:00Z"):
        assert (await reader.query(_TOTALS, since=since))["totals"] == []


def _total(currency: str, zero: str = "0.00", **amounts: str) -> dict[str, object]:
    names = ("open", "overdue", "paid", "refunded", "overpaid", "unapplied")
    return {"currency": currency} | {name: {"amount": amounts.get(name, zero)} for name in names}


# --- Counts ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("invoices", 5),
        ("invoices(filter: {status: [OPEN]})", 4),
        ('invoices(filter: {status: [OPEN, DRAFT], currency: "EUR"})', 1),
        ("invoices(filter: {status: [VOID]})", 0),
        ("invoices(filter: {status: []})", 0),
        ("payments", 4),
        ("payments(filter: {allocation: UNAPPLIED})", 1),
        ('payments(filter: {status: [FAILED], currency: "USD"})', 1),
        ("webhookEvents", 2),
        ('webhookEvents(filter: {type: ["invoice.paid"]})', 1),
        ("webhookEvents(filter: {status: [HELD]})", 0),
        ('webhookEvents(filter: {type: ["", "invoice.paid"]})', 1),
    ],
)
async def test_what_sums_are_kept_of_is_counted_exactly(
    reader: Caller, rows: Rows, asked: str, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "COUNTED", 1)
    await _some_of_all(rows)

    (answer,) = (await reader.query(f"{{ {asked} {{ totalCount totalCountPrecision }} }}")).values()

    assert answer == {"totalCount": expected, "totalCountPrecision": "EXACT"}


@pytest.mark.parametrize(("asked", "expected"), [("first: 1, ", 4), ("", 4)])
async def test_other_filters_are_counted_up_to_a_bound(
    reader: Caller, rows: Rows, asked: str, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer = await _some_of_all(rows)
    document = (
        f"query ($id: ID!) {{ invoices({asked}filter: {{customerId: $id}}) {{ totalCount totalCountPrecision }} }}"
    )

    exact = await reader.query(document, id=customer.id)
    monkeypatch.setattr(counts, "COUNTED", 3)
    bounded = await reader.query(document, id=customer.id)

    assert exact["invoices"] == {"totalCount": expected + 1, "totalCountPrecision": "EXACT"}
    assert bounded["invoices"] == {"totalCount": 3, "totalCountPrecision": "AT_LEAST"}


async def _some_of_all(rows: Rows) -> Any:
    """Five invoices of one customer, four payments, two webhook events."""
    integration, customer = await rows.integration(), await rows.customer()
    invoices = [await rows.invoice(customer) for _ in range(4)]
    await rows.invoice(customer, status=InvoiceStatus.DRAFT, currency="EUR")
    await rows.payment(integration, invoices[0])
    await rows.payment(integration, invoices[0], status=PaymentStatus.FAILED)
    await rows.payment(integration, invoices[1])
    await rows.payment(integration, None)
    await rows.webhook_event(integration, type="invoice.paid")
    await rows.webhook_event(integration)
    return customer


# --- More than there can be ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "values"),
    [
        ("query ($v: [InvoiceStatus!]) { invoices(filter: {status: $v}) { totalCount } }", ["PAID"] * 37_000),
        ("query ($v: [WebhookEventStatus!]) { webhookEvents(filter: {status: $v}) { totalCount } }", ["HELD"] * 37_000),
    ],
)
async def test_a_filter_may_say_the_same_any_number_of_times(reader: Caller, document: str, values: list[str]) -> None:
    """PostgreSQL takes 32,767 values in a statement."""
    (answer,) = (await reader.query(document, v=values)).values()

    assert answer == {"totalCount": 0}


async def test_a_filter_has_so_many_types(reader: Caller) -> None:
    document = "query ($v: [String!]) { webhookEvents(filter: {type: $v}) { totalCount } }"
    enough = [f"{number}" for number in range(500)]

    refusal = await reader.refusal(document, v=[*enough, "one more"])

    assert refusal["extensions"]["code"] == "INVALID_INPUT"
    assert await reader.query(document, v=[*enough, *enough]) == {"webhookEvents": {"totalCount": 0}}
