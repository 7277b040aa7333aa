"""What is read from a Stripe event, and that nothing else than a refusal to read comes of anything."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateways.stripe.events import EVENTS_TO_SEND, NEEDED_EVENTS, read
from inbox.delivery import body_key
from models.payment_fact import Evidence, PaymentFact, UnreadableError
from tests.world import stripe_payloads as stripe
from tests.world.long import few_or_many
from tests.world.recorded import RECORDED, load, needs_recorded
from tests.world.stripe_payloads import OLD, SHAPES, Event, Shape

WHOSE: Final = {"invoice_id": "inv_a", "customer_id": "cust_a", "workspace_id": "ws_a"}
"""Metadata as links of ours carry it."""


def read_event(event: Event) -> PaymentFact:
    """What is read from an event."""
    return read(stripe.body(event))


def subject(event: Event) -> dict[str, Any]:
    """The object that an event is about."""
    found: dict[str, Any] = event["data"]["object"]
    return found


# --- What is read ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("make", "evidence"),
    [
        (stripe.payment_intent_succeeded, Evidence.PAID),
        (stripe.payment_intent_failed, Evidence.FAILED),
        (stripe.checkout_session_completed, Evidence.PAID),
        (stripe.checkout_session_async_succeeded, Evidence.PAID),
        (stripe.checkout_session_async_failed, Evidence.FAILED),
        (stripe.stripe_invoice_paid, Evidence.PAID),
        (stripe.stripe_invoice_failed, Evidence.FAILED),
    ],
)
def test_every_handled_type_is_read_in_every_shape(
    make: Callable[..., Event], evidence: Evidence, shape: Shape
) -> None:
    event = make(**WHOSE, amount=1999, currency="eur", event_id="evt_a", created=1_790_000_123, shape=shape)

    known = read_event(event)

    assert (known.id, known.type, known.created, known.livemode) == ("evt_a", event["type"], 1_790_000_123, False)
    assert known.api_version == shape
    assert (known.evidence, known.amount, known.currency) == (evidence, 1999, "EUR")
    assert known.metadata_invoice_id == "inv_a"
    assert known.metadata_customer_id == "cust_a"
    assert known.metadata_workspace_id == "ws_a"
    assert known.provider_ids


def test_each_of_the_handled_types_is_one_that_we_ask_stripe_for() -> None:
    types = {make()["type"] for make in stripe.HANDLED}

    assert types <= set(EVENTS_TO_SEND)
    assert set(EVENTS_TO_SEND[:5]) <= types


@pytest.mark.parametrize(
    ("event", "names"),
    [
        (stripe.payment_intent_succeeded(payment_intent="pi_a"), ("pi_a",)),
        (stripe.payment_intent_succeeded(payment_intent="pi_a", invoice="in_a", shape=OLD), ("pi_a",)),
        (stripe.payment_intent_failed(payment_intent="pi_a"), ("pi_a",)),
        (stripe.checkout_session_completed(session="cs_a", payment_intent="pi_a"), ("pi_a", "cs_a")),
        (stripe.checkout_session_completed(session="cs_a", payment_intent={"id": "pi_a"}), ("pi_a", "cs_a")),
        (stripe.checkout_session_completed(session="cs_a", payment_intent=None), ("cs_a",)),
        (
            stripe.checkout_session_completed(session="cs_a", payment_intent="pi_a", invoice="in_a"),
            ("pi_a", "cs_a"),
        ),
        (stripe.payment_intent_succeeded(payment_intent="pi_a", order="cs_a"), ("pi_a", "cs_a")),
        (stripe.payment_intent_succeeded(payment_intent="pi_a", order="in_a"), ("pi_a",)),
        (stripe.payment_intent_succeeded(payment_intent="pi_a", order="PO-4711"), ("pi_a",)),
        (stripe.stripe_invoice_paid(invoice="in_a", payment_intent="pi_a", shape=OLD), ("pi_a",)),
        (stripe.stripe_invoice_paid(invoice="in_a", payment_intent={"id": "pi_a"}, shape=OLD), ("pi_a",)),
        (stripe.stripe_invoice_paid(invoice="in_a", payment_intent="pi_a"), ("pi_a",)),
        (stripe.stripe_invoice_paid(invoice="in_a", payment_intent={"id": "pi_a"}), ("pi_a",)),
        (stripe.stripe_invoice_paid(invoice="in_a"), ("in_a",)),
        (stripe.stripe_invoice_failed(invoice="in_a", payment_intent="pi_a"), ("pi_a",)),
    ],
)
def test_a_payment_goes_by_its_payment_intent_then_by_the_objects_own_id(event: Event, names: tuple[str, ...]) -> None:
    known = read_event(event)

    assert known.provider_ids == names


@pytest.mark.parametrize(
    "payments",
    [
        None,
        [],
        {"data": None},
        {"data": {}},
        {"data": [None, 1, "inpay_a", {}, {"payment": None}, {"payment": {"type": "charge", "charge": "ch_a"}}]},
    ],
)
def test_a_stripe_invoice_whose_payments_name_no_intent_goes_by_its_own_id(payments: object) -> None:
    event = stripe.stripe_invoice_paid(invoice="in_a")
    subject(event)["payments"] = payments

    known = read_event(event)

    assert known.provider_ids == ("in_a",)


def test_the_amount_received_counts_before_the_amount_asked_for() -> None:
    partial, without = stripe.payment_intent_succeeded(amount=2000), stripe.payment_intent_succeeded(amount=2000)
    subject(partial)["amount_received"] = 1500
    subject(without)["amount_received"] = None

    assert read_event(partial).amount == 1500
    assert read_event(without).amount == 2000


def test_a_stripe_invoice_counts_what_was_paid_or_what_was_due() -> None:
    paid, failed = stripe.stripe_invoice_paid(amount=700), stripe.stripe_invoice_failed(amount=700)
    subject(paid)["amount_due"] = 900
    subject(failed)["amount_paid"] = 200

    assert read_event(paid).amount == 700
    assert read_event(failed).amount == 700


@pytest.mark.parametrize(("currency", "amount"), [("jpy", 800), ("krw", 1), ("kwd", 12340), ("isk", 50000)])
def test_an_amount_stays_in_the_currencys_minor_unit(currency: str, amount: int) -> None:
    known = read_event(stripe.checkout_session_completed(currency=currency, amount=amount))

    assert (known.amount, known.currency) == (amount, currency.upper())


@pytest.mark.parametrize(
    ("payment_status", "evidence", "amount"),
    [("paid", Evidence.PAID, 2000), ("unpaid", Evidence.PENDING, 2000), ("no_payment_required", Evidence.PAID, 0)],
)
def test_a_completed_session_proves_what_its_payment_status_says(
    payment_status: str, evidence: Evidence, amount: int
) -> None:
    known = read_event(stripe.checkout_session_completed(payment_status=payment_status))

    assert (known.evidence, known.amount) == (evidence, amount)


def test_a_session_that_only_sets_up_a_payment_method_is_about_no_payment() -> None:
    event = stripe.checkout_session_completed(
        payment_status="no_payment_required", payment_intent=None, amount=None, currency=None
    )

    assert read_event(event).evidence is None


@pytest.mark.parametrize("link", ["plink_a", {"id": "plink_a", "object": "payment_link"}])
def test_a_session_names_its_payment_link(link: str | dict[str, Any]) -> None:
    known = read_event(stripe.checkout_session_completed(payment_link=link))

    assert known.payment_link_id == "plink_a"


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (stripe.DECLINED, "insufficient_funds", "Your card has insufficient funds."),
        ({"code": "expired_card", "message": "Your card has expired."}, "expired_card", "Your card has expired."),
        ({"code": "", "message": ""}, None, None),
        ({"code": 5, "message": ["no"]}, None, None),
        ({"code": "c" * 300, "message": "m" * 3000}, "c" * 255, "m" * 2000),
        ({"code": "a\0b", "message": "not\0so"}, "ab", "notso"),
        ("declined", None, None),
        (None, None, None),
    ],
)
def test_a_failure_tells_stripes_code_and_message(error: Any, code: str | None, message: str | None) -> None:
    known = read_event(stripe.payment_intent_failed(error=error))

    assert (known.failure_code, known.failure_message) == (code, message)


@pytest.mark.parametrize("metadata", [None, {}, {"invoice_id": ""}, {"invoice_id": None}, {"order": "6735"}])
def test_metadata_that_is_not_ours_names_nothing(metadata: dict[str, Any] | None) -> None:
    event = stripe.payment_intent_succeeded()
    subject(event)["metadata"] = metadata

    known = read_event(event)

    assert known.metadata_invoice_id is None
    assert known.evidence is Evidence.PAID


def test_metadata_of_another_system_may_be_as_long_as_stripe_takes_it() -> None:
    """Money is not lost for what somebody else wrote beside our invoice_id."""
    event = stripe.payment_intent_succeeded(invoice_id="inv_a", customer_id="c" * 500)

    known = read_event(event)

    assert known.metadata_invoice_id == "inv_a"


@pytest.mark.parametrize("type_", ["charge.captured", "customer.created", "v2.core.event_destination.ping", "x"])
def test_of_an_event_of_another_type_only_the_envelope_is_read(type_: str) -> None:
    event = stripe.payment_intent_succeeded() | {"type": type_, "data": {"object": []}}

    known = read_event(event)

    assert known.type == type_
    assert known.evidence is None


def test_events_sort_by_stripes_clock_then_by_id() -> None:
    told = [(9, "evt_b"), (9, "evt_a"), (10, "evt_a"), (0, "evt_z"), (253_402_300_799, "evt_a")]

    events = [read_event(stripe.payment_intent_failed(created=at, event_id=id_)) for at, id_ in told]

    in_order = sorted(events, key=lambda event: event.order)
    assert [(event.created, event.id) for event in in_order] == sorted(told)


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_what_stripe_really_sent_is_read(path: Path) -> None:
    body = path.read_bytes()
    payload = load(path)

    known = read(body)

    assert (known.id, known.type, known.created) == (payload["id"], payload["type"], payload["created"])
    if known.type.startswith(("charge.refunded", "charge.dispute.")):
        told = subject(payload)
        assert set(known.provider_ids) <= {told["id"], told.get("payment_intent"), told.get("charge")}
        assert (known.amount, known.currency) == (told["amount"], told["currency"].upper())
    elif known.type in {make()["type"] for make in stripe.HANDLED}:
        told = subject(payload)
        assert known.provider_ids[0] == (told.get("payment_intent") or told["id"])
        assert known.currency == told["currency"].upper()
        assert known.amount in {told.get(name) for name in ("amount", "amount_total", "amount_paid", "amount_due")}
    else:
        assert known.evidence is None


@needs_recorded
@pytest.mark.parametrize("make", stripe.HANDLED)
def test_our_own_events_are_shaped_like_stripes(make: Callable[..., Event]) -> None:
    """Whatever a test says is at a place where Stripe says it."""
    ours = [make(shape=shape) for shape in SHAPES]
    everything = [load(path) for path in RECORDED]
    sent = [event for event in everything if subject(event)["object"] == subject(ours[0])["object"]]

    assert {name for event in ours for name in event} == {name for event in sent for name in event}
    recorded = {name for event in sent for name in subject(event)}
    assert {name for event in ours for name in subject(event)} <= recorded | _NOT_RECORDED


_NOT_RECORDED: Final = {
    # Of versions before or after those that were recorded.
    "adaptive_pricing",
    "charges",
    "invoice",
    "parent",
    "payments",
    "presentment_details",
}


# --- What can't be read ----------------------------------------------------------------------------------------

NOT_TEXT: Final[list[Any]] = [1, True, 1.5, ["a"], {"id": 5}, "a\0b", "a" * 256]
NOT_AMOUNT: Final[list[Any]] = ["2000", True, 20.5, [], {}, -1, 10**15 + 1, 2**64, 10**30]
NOT_CURRENCY: Final[list[Any]] = [None, "", "us", "usdd", "us1", "ußd", "us\0", 840, ["usd"], {}]


def decisive() -> list[Any]:
    """Every field that decides, with values that it can't have."""
    intent, failed = stripe.payment_intent_succeeded, stripe.payment_intent_failed
    session, late = stripe.checkout_session_completed, stripe.checkout_session_async_succeeded
    paid, unpaid = stripe.stripe_invoice_paid, stripe.stripe_invoice_failed
    every = stripe.HANDLED
    table: list[tuple[tuple[Callable[..., Event], ...], str, list[Any]]] = [
        (every, "id", [None, "", *NOT_TEXT]),
        (every, "type", [None, "", *NOT_TEXT]),
        (every, "created", ["1790000000", True, 1.5, [], -1, 253_402_300_800, 10**30]),
        (every, "livemode", [None, "false", 0, 1, []]),
        (every, "api_version", NOT_TEXT),
        (every, "data", [None, [], "object", 5]),
        (every, "data.object", [None, [], "pi_a", 5]),
        (every, "data.object.id", [None, "", *NOT_TEXT]),
        (every, "data.object.currency", NOT_CURRENCY),
        (every, "data.object.metadata", [[], "inv_a", 5, False]),
        *((every, f"data.object.metadata.{name}", [5, True, False, 0, [], {}, "a\0b", "a" * 501]) for name in WHOSE),
        ((intent,), "data.object.amount_received", NOT_AMOUNT),
        ((failed,), "data.object.amount", [None, *NOT_AMOUNT]),
        ((session, late), "data.object.amount_total", NOT_AMOUNT),
        ((session,), "data.object.payment_status", ["", "PAID", "refunded", 1, [], {}]),
        ((session, late, paid, unpaid), "data.object.payment_intent", NOT_TEXT),
        ((session, late), "data.object.payment_link", NOT_TEXT),
        ((session, late, intent, failed), "data.object.invoice", NOT_TEXT),
        ((paid,), "data.object.amount_paid", NOT_AMOUNT),
        ((unpaid,), "data.object.amount_due", NOT_AMOUNT),
    ]
    return [
        pytest.param(make, path, values, id=f"{make()['type']}-{path}")
        for makes, path, values in table
        for make in makes
    ]


@pytest.mark.parametrize(("make", "path", "values"), decisive())
def test_a_field_that_decides_is_of_its_type_or_the_event_is_unreadable(
    make: Callable[..., Event], path: str, values: list[Any]
) -> None:
    *holders, name = path.split(".")
    for value in values:
        event = make(**WHOSE, shape=OLD)
        holder: dict[str, Any] = event
        for key in holders:
            holder = holder[key]
        holder[name] = value

        with pytest.raises(UnreadableError, match=name) as refusal:
            read_event(event)

        assert "\0" not in str(refusal.value)


def test_the_plain_amount_counts_where_the_object_has_none_of_its_own() -> None:
    event = stripe.checkout_session_completed(shape=OLD)
    subject(event).update(amount=4620, amount_total=None, payment_status=None)

    known = read_event(event)

    assert (known.evidence, known.amount) == (Evidence.PAID, 4620)


def test_an_event_that_cannot_be_read_is_known_by_what_can() -> None:
    event = stripe.payment_intent_succeeded(currency="dollars")

    with pytest.raises(UnreadableError) as refusal:
        read_event(event)

    assert (refusal.value.event_id, refusal.value.event_type) == (event["id"], event["type"])


@pytest.mark.parametrize("odd", [b'"\\ud800"', b"1e999", b'[-1e999, {"\\udfff": 1}]'])
def test_what_only_some_take_for_json_costs_no_payment(odd: bytes) -> None:
    body = stripe.body(stripe.payment_intent_succeeded(metadata={"note": "ODD"})).replace(b'"ODD"', odd)
    assert odd in body

    known = read(body.replace(b'"metadata"', b'"elsewhere"'))

    assert (known.evidence, known.amount) == (Evidence.PAID, 2000)


@pytest.mark.parametrize(
    ("name", "value", "known_id"),
    [
        ("created", "yesterday", True),
        ("livemode", "false", True),
        ("api_version", 3, True),
        ("data", [], True),
        ("id", 7, False),
        ("id", "x" * 300, False),
        ("id", "evt\0", False),
    ],
)
def test_an_envelope_that_cannot_be_read_may_hold_money(name: str, value: Any, known_id: bool) -> None:
    event = stripe.payment_intent_succeeded() | {name: value}

    with pytest.raises(UnreadableError) as refusal:
        read_event(event)

    assert refusal.value.is_money
    assert (refusal.value.event_id is not None, refusal.value.event_type) == (known_id, event["type"])


def test_a_type_that_no_database_may_hold_is_unknown() -> None:
    event = stripe.payment_intent_succeeded() | {"type": "payment_intent.succeeded\0"}

    with pytest.raises(UnreadableError) as refusal:
        read_event(event)

    assert (refusal.value.event_id, refusal.value.event_type) == (event["id"], None)


@pytest.mark.parametrize("type_", ["payment_intent.succeeded", "customer.created"])
def test_what_is_no_json_may_hold_money_by_what_it_speaks_of(type_: str) -> None:
    with pytest.raises(UnreadableError) as refusal:
        read(b'{"type": "%b", "broken' % type_.encode())

    assert refusal.value.is_money is (type_ == "payment_intent.succeeded")


def test_a_thin_event_is_known_by_its_id_and_says_what_to_choose_in_stripe() -> None:
    thin = {"id": "evt_a", "object": "v2.core.event", "type": "v1.billing.meter.no_meter_found", "livemode": False}

    with pytest.raises(UnreadableError, match="choose the snapshot payload style") as refusal:
        read_event(thin | {"created": "2026-11-23T12:00:00.000Z", "related_object": None})

    assert (refusal.value.event_id, refusal.value.event_type) == (thin["id"], thin["type"])


def test_several_intents_of_a_stripe_invoice_are_several_payments() -> None:
    event = stripe.stripe_invoice_paid(invoice="in_a", amount=500, payments={"pi_b": 300, "pi_a": 200})

    known = read_event(event)

    assert [(part.provider_ids, part.amount) for part in known.each] == [
        (("pi_a",), 200),
        (("pi_b",), 300),
    ]


def test_a_payment_of_a_stripe_invoice_that_was_canceled_is_none() -> None:
    event = stripe.stripe_invoice_paid(invoice="in_a", amount=500, payments={"pi_a": 500, "pi_b": 500})
    subject(event)["payments"]["data"][0]["status"] = "canceled"

    known = read_event(event)

    assert [(part.provider_ids, part.amount) for part in known.each] == [(("pi_b",), 500)]


def test_an_attempt_that_was_given_up_lends_its_name_to_no_other() -> None:
    event = stripe.stripe_invoice_failed(invoice="in_a", amount=500, payments={"pi_a": 500, "pi_b": 500})
    subject(event)["payments"]["data"][0]["status"] = "canceled"

    assert read_event(event).provider_ids == ("pi_b",)


def test_an_amount_is_missing_only_where_stripe_may_leave_it_out() -> None:
    event = stripe.payment_intent_succeeded()
    subject(event).update(amount=None, amount_received=None)

    with pytest.raises(UnreadableError, match="amount"):
        read_event(event)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"null",
        b"true",
        b"5",
        b'"evt"',
        b"[]",
        b"{}",
        b'[{"id": "evt_a"}]',
        b"{",
        b'{"id": "evt_a"',
        b'{"id": "evt_a"} {}',
        b'{"id": NaN}',
        b'{"id": Infinity}',
        b'{"created": 1e400}',
        b'{"created": ' + b"9" * 5000 + b"}",
        b'{"id": "\xff"}',
        b'{"id": "\xed\xa0\x80"}',
        b'{"id": "\\ud800"}',
        b'{"\\udfff": 1}',
        b'\xef\xbb\xbf{"id": "evt_a"}',
        '{"id": "evt_a"}'.encode("utf-16"),
        '{"id": "evt_a"}'.encode("utf-32"),
        b"[" * 100_000,
        b'{"data":' * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b"\0" * 10,
        b'{"id": "a\x00b"}',
    ],
    ids=lambda body: f"{len(body)} bytes: {body[:24]!r}",
)
def test_what_is_no_event_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableError):
        read(body)


def test_of_a_key_given_twice_the_last_counts() -> None:
    """As for whatever else reads the same bytes."""
    body = stripe.body(stripe.payment_intent_succeeded(event_id="evt_a"))

    known = read(b'{"id": "evt_0", "livemode": 7,' + body.lstrip()[1:])

    assert known.id == "evt_a"


def test_a_body_is_known_by_its_hash() -> None:
    assert body_key(b"") == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


# --- Anything --------------------------------------------------------------------------------------------------

EXAMPLES: Final = few_or_many(100, 2000, "FLUXRATE_EXAMPLES")
"""So many bodies of each kind are read, and twice as many mutated events."""

texts = st.text() | st.text(st.characters(), max_size=4) | st.sampled_from(["pi_a", "usd", "paid"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
events = st.sampled_from(
    [make(shape=shape, **WHOSE) for make in stripe.HANDLED for shape in SHAPES] + [load(path) for path in RECORDED]
)


def places(value: object, where: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to everything inside a value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, held in inner for place in ((*where, key), *places(held, (*where, key)))]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """An event with some of what is in it exchanged or left out."""
    event = copy.deepcopy(draw(events))
    for _ in range(draw(st.integers(1, 3))):
        *holders, key = draw(st.sampled_from(places(event)))
        holder = event
        for name in holders:
            holder = holder[name]
        if draw(st.booleans()) and isinstance(holder, dict):
            del holder[key]
        else:
            holder[key] = draw(values)
    return stripe.body(event)


def assert_readable_or_refused(body: bytes) -> None:
    """Nothing else than an event or a refusal comes of it, and either can be stored in a TEXT of PostgreSQL."""
    try:
        known = read(body)
    except UnreadableError as refusal:
        assert_storable(str(refusal))
        return
    for name in PaymentFact._fields:
        value = getattr(known, name)
        for text in value if isinstance(value, tuple) else (value,):
            if isinstance(text, str):
                assert_storable(text)
    assert 0 <= known.amount <= 10**15
    assert known.evidence is None or (known.provider_ids and len(known.currency) == 3)


def assert_storable(text: str) -> None:
    """No NUL, no half of a surrogate pair."""
    assert "\0" not in text
    text.encode()


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.binary(max_size=400))
@example(b"\xff\xfe")
def test_arbitrary_bytes_are_read_or_refused(body: bytes) -> None:
    assert_readable_or_refused(body)


@pytest.mark.slow
@settings(max_examples=EXAMPLES, deadline=None)
@given(values)
def test_arbitrary_json_is_read_or_refused(value: object) -> None:
    assert_readable_or_refused(json.dumps(value).encode())


@pytest.mark.slow
@settings(max_examples=2 * EXAMPLES, deadline=None)
@given(mutated())
def test_a_mutated_event_is_read_or_refused(body: bytes) -> None:
    assert_readable_or_refused(body)


@settings(max_examples=EXAMPLES, deadline=None)
@given(events, st.data())
def test_a_torn_event_is_read_or_refused(event: Event, data: st.DataObject) -> None:
    body = bytearray(stripe.body(event))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))

    assert_readable_or_refused(bytes(body))


def test_five_types_are_enough_to_mark_invoices_paid_and_come_first() -> None:
    assert EVENTS_TO_SEND[:5] == NEEDED_EVENTS
