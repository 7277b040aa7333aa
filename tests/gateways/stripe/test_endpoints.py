"""Which of an account's endpoints are an integration's, and what is the matter with them."""

from typing import Any

import pytest

from gateways.stripe.endpoints import Endpoint, endpoint_url, endpoints_of, findings
from gateways.stripe.events import EVENTS_TO_SEND

TOKEN = "tok3n"
URL = endpoint_url("https://fluxrate.example", TOKEN)


def endpoint(**given: Any) -> Endpoint:
    """An endpoint with which nothing is the matter."""
    fine = {"provider_id": "we_1", "url": URL, "is_enabled": True, "events": EVENTS_TO_SEND}
    return Endpoint(**{**fine, "api_version": None, "created": 0, **given})


def found(*endpoints: Endpoint, registered_id: str | None = None) -> list[str]:
    """The codes of what is the matter."""
    return [code for code, _ in findings(endpoints_of(endpoints, URL, registered_id), TOKEN)]


def test_with_one_endpoint_as_it_should_be_nothing_is_the_matter() -> None:
    assert found(endpoint()) == []


def test_endpoints_of_others_are_nobodys_matter() -> None:
    elsewhere = endpoint(provider_id="we_2", url=endpoint_url("https://fluxrate.example", "another"), is_enabled=False)

    assert found(endpoint(), elsewhere) == []
    assert found(elsewhere) == ["ENDPOINT_MISSING"]


def test_an_integration_without_a_url_has_no_endpoint() -> None:
    endpoints = endpoints_of([endpoint()], endpoint_url("https://fluxrate.example", ""), None)

    assert (endpoints.here, endpoints.astray) == ([], [])


def test_what_was_registered_is_known_by_its_id_wherever_it_posts() -> None:
    moved = endpoint(url="https://user:s3cret@elsewhere.example/s3cret?a=s3cret")

    assert found(moved, registered_id="we_1") == ["ENDPOINT_OTHER_URL"]
    ((_, detail),) = findings(endpoints_of([moved], URL, "we_1"), TOKEN)
    assert detail == "https://elsewhere.example/…"


def test_of_two_endpoints_a_disabled_one_does_no_harm() -> None:
    assert found(endpoint(), endpoint(provider_id="we_2", is_enabled=False)) == []
    assert found(endpoint(), endpoint(provider_id="we_2")) == ["ENDPOINT_DUPLICATED"]
    assert found(endpoint(is_enabled=False), endpoint(provider_id="we_2", is_enabled=False)) == ["ENDPOINT_DISABLED"]


@pytest.mark.parametrize(
    ("events", "codes"),
    [
        (("*",), []),
        ((*EVENTS_TO_SEND, "charge.succeeded"), []),
        (EVENTS_TO_SEND[:5], ["ENDPOINT_EVENTS_RECOMMENDED"]),
        (EVENTS_TO_SEND[1:], ["ENDPOINT_EVENTS_MISSING"]),
        ((), ["ENDPOINT_EVENTS_MISSING"]),
    ],
)
def test_the_five_events_are_needed_and_the_others_recommended(events: tuple[str, ...], codes: list[str]) -> None:
    assert found(endpoint(events=events)) == codes


@pytest.mark.parametrize(
    "left_out", [{"charge.refunded"}, {"refund.created", "refund.updated"}, {"invoice.payment_succeeded"}]
)
def test_of_events_that_tell_the_same_one_is_enough(left_out: set[str]) -> None:
    events = tuple(name for name in EVENTS_TO_SEND if name not in left_out)

    assert found(endpoint(events=events)) == []


def test_what_is_not_sent_is_named_with_what_it_is_sent_for() -> None:
    events = tuple(name for name in EVENTS_TO_SEND if name != "payment_intent.processing")

    ((_, detail),) = findings(endpoints_of([endpoint(events=events)], URL, None), TOKEN)

    assert detail == "payment_intent.processing (a bank debit is under way, so nobody should pay again)"


@pytest.mark.parametrize(
    ("version", "codes"),
    [
        (None, []),
        ("2026-10-28.endive", []),
        ("2020-08-27", []),
        ("2020-03-02", ["ENDPOINT_API_VERSION_OLD"]),
        ("2011-01-01", ["ENDPOINT_API_VERSION_OLD"]),
    ],
)
def test_versions_before_the_oldest_that_is_read_are_told(version: str | None, codes: list[str]) -> None:
    assert found(endpoint(api_version=version)) == codes
