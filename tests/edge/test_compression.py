"""Answers over HTTP are compressed for who takes it, but for small ones, streams, and what tells a secret."""

import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import httpx
import pytest

from edge.compression import MIN_BYTES
from tests.world.app import running_app
from tests.world.house import LARGE as LARGE_SERVERS
from tests.world.house import House
from tests.world.local import LOCAL

pytestmark = pytest.mark.long(servers=LARGE_SERVERS)  # it has nothing to do with the database

LARGE: Final = "{ __schema { types { name description fields { name description } } } }"
SMALL: Final = "{ viewer { workspace { name } } }"
SECRETS: Final = {
    "webhook URLs": " ".join(f"a{n}: stripeIntegrations {{ nodes {{ webhookUrl eventsToSend }} }}" for n in range(5)),
    "payloads": " ".join(f"a{n}: webhookEvents {{ nodes {{ payload }} }}" for n in range(5)),
}


@pytest.fixture
async def http(house: House) -> AsyncIterator[httpx.AsyncClient]:
    """A client that takes gzip, as every browser does."""
    headers = {"Authorization": f"Bearer {house.client.api_key}", "Accept-Encoding": "gzip"}
    async with httpx.AsyncClient(base_url=house.app.url, headers=headers, timeout=30, **LOCAL) as client:
        yield client


async def raw_answer(http: httpx.AsyncClient, query: str, **headers: str) -> tuple[httpx.Response, bytes]:
    """The answer to a query, and its body as it came over the wire."""
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    async with http.stream("POST", "/graphql", json={"query": query}, headers=more) as response:
        return response, b"".join([chunk async for chunk in response.aiter_raw()])


async def test_a_large_answer_is_compressed_for_who_takes_it(http: httpx.AsyncClient) -> None:
    _, plain = await raw_answer(http, LARGE, accept_encoding="identity")

    response, body = await raw_answer(http, LARGE)

    assert response.headers["content-encoding"] == "gzip"
    assert response.headers["content-length"] == str(len(body))
    assert len(body) < len(plain) / 3
    assert json.loads(gzip.decompress(body))["data"] == json.loads(plain)["data"]


@pytest.mark.parametrize("taken", ["identity", "br", "gzip;q=0", "gzip; q=0.0, br"])
async def test_who_takes_no_gzip_is_answered_plainly(http: httpx.AsyncClient, taken: str) -> None:
    response, body = await raw_answer(http, LARGE, accept_encoding=taken)

    assert "content-encoding" not in response.headers
    assert json.loads(body)["data"]["__schema"]["types"]


async def test_a_small_answer_is_sent_as_it_is(http: httpx.AsyncClient) -> None:
    response, body = await raw_answer(http, SMALL)

    assert len(body) < MIN_BYTES
    assert "content-encoding" not in response.headers
    assert json.loads(body)["data"] == {"viewer": {"workspace": {"name": "Acme"}}}


@pytest.mark.parametrize("query", [LARGE, SMALL, "{ nonsense }"])
async def test_every_answer_says_what_it_depends_on(http: httpx.AsyncClient, query: str) -> None:
    response, _ = await raw_answer(http, query)

    assert response.headers["vary"] == "Accept, Accept-Encoding"


def test_another_origin_is_named_beside_it(tmp_path: Path) -> None:
    with running_app(cwd=tmp_path, env={"FLUXRATE_ALLOWED_ORIGINS": "https://shop.example"}) as app:
        key, origin = {"Authorization": f"Bearer {app.announced['apiKey']}"}, {"Origin": "https://shop.example"}
        response = httpx.post(f"{app.url}/graphql", json={"query": LARGE}, headers=key | origin, **LOCAL)

    assert response.headers["content-encoding"] == "gzip"
    assert {each.strip() for each in response.headers["vary"].split(",")} == {"Accept", "Accept-Encoding", "Origin"}


async def test_a_stream_is_never_compressed(http: httpx.AsyncClient) -> None:
    response, body = await raw_answer(http, LARGE, accept="text/event-stream")

    assert "content-encoding" not in response.headers
    assert body.startswith(b":\n\nevent: next\n")
    assert len(body) > MIN_BYTES


@pytest.mark.parametrize("what", SECRETS)
async def test_what_tells_a_secret_is_never_compressed(house: House, http: httpx.AsyncClient, what: str) -> None:
    await house.post(house.paid(await house.open_invoice()))

    response, body = await raw_answer(http, f"{{ {SECRETS[what]} }}")
    beside, _ = await raw_answer(http, LARGE)

    assert len(body) > MIN_BYTES
    assert "content-encoding" not in response.headers
    assert beside.headers["content-encoding"] == "gzip"


async def test_a_new_api_key_is_never_compressed(http: httpx.AsyncClient) -> None:
    made = 'createApiKey(input: {name: "Shop", scopes: [READ]}) { ... on CreateApiKeySuccess { key apiKey { id } } }'
    aliased = " ".join(f"made{number}: {made}" for number in range(20))

    response, body = await raw_answer(http, f"mutation {{ {aliased} }}")

    assert len(body) > MIN_BYTES
    assert b"flx_" in body
    assert "content-encoding" not in response.headers
