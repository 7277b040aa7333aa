"""Forms with names in brackets."""

from typing import Any

import httpx
import pytest

from simulator.errors import StripeError
from simulator.form import parse_form


@pytest.mark.parametrize(
    ("encoded", "params"),
    [
        ("", {}),
        ("a=1&a=2", {"a": "2"}),
        ("a=", {"a": ""}),
        ("a%5Bb%5D=%C3%A4+%26", {"a": {"b": "ä &"}}),
        ("a[b][c]=1&a[b][d]=2", {"a": {"b": {"c": "1", "d": "2"}}}),
        ("a[1]=y&a[0]=x", {"a": ["x", "y"]}),
        ("a[]=x&a[]=y", {"a": ["x", "y"]}),
        ("a[][b]=1&a[][c]=2&a[][b]=3", {"a": [{"b": "1", "c": "2"}, {"b": "3"}]}),
        ("metadata[0]=x&a[metadata][1]=y", {"metadata": {"0": "x"}, "a": {"metadata": {"1": "y"}}}),
        ("a[b=1", {"a[b": "1"}),
    ],
)
def test_brackets_nest(encoded: str, params: dict[str, Any]) -> None:
    assert parse_form(encoded) == params


@pytest.mark.parametrize("encoded", ["a=1&a[b]=2", "a[b]=2&a=1", "a=%FF", "a" + "[b]" * 20 + "=1", "a=1&" * 3_000])
def test_a_form_that_makes_no_sense_is_refused(encoded: str) -> None:
    with pytest.raises(StripeError):
        parse_form(encoded)


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (b'{"line_items": []}', {"Content-Type": "application/json"}),
        (b"\xff\xfe", {}),
        (b"metadata[a]=%ff", {}),
        (b"a=" + b"x" * 1_100_000, {}),
    ],
)
async def test_the_api_takes_readable_forms_only(
    http: httpx.AsyncClient, content: bytes, headers: dict[str, str]
) -> None:
    auth = {"Authorization": "Bearer sk_test_acme_1"}

    response = await http.post("/v1/payment_links", content=content, headers=auth | headers)

    assert 400 <= response.status_code < 500
    assert response.json()["error"]["message"]
