"""The product behind a proxy, as the pages of a browser meet it: sessions, cookies and refusals."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from http.cookies import Morsel, SimpleCookie
from typing import Any, Final

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from models.kinds import Mode
from models.secret import Keyring
from resolvers.operator import create_workspace
from tests.world import documents
from tests.world.app import ENCRYPTION_KEY, RunningApp, running_app
from tests.world.graphql_client import Socket
from tests.world.local import LOCAL
from tests.world.seed import within

Json = dict[str, Any]

KEYRING: Final = Keyring.parse([ENCRYPTION_KEY])
PUBLIC: Final = "https://pay.example.com"
FRIEND: Final = "https://app.example.com"
COOKIE: Final = "fluxrate_session"
SECURE_COOKIE: Final = "__Host-fluxrate_session"
VIEWER: Final = {"query": "{ viewer { apiKey { id } } }"}
EVENTS: Final = "subscription { events { type actor } }"
CUSTOMERS: Final = {"query": "{ customers { totalCount } }"}
EVENT_STREAM: Final = "text/event-stream"
UNAUTHORIZED: Final = 4401
WITHIN_S: Final = 20.0
LATE_S: Final = 2.0


class Site:
    """The product as a browser meets it, and an API key of a workspace."""

    def __init__(self, app: RunningApp, database_url: str, client: httpx.Client) -> None:
        self.app = app
        self.client = client
        _, self.key = within(database_url, lambda: create_workspace("Acme", Mode.TEST))
        self.secrets = {self.key}

    def sign_in(self, key: str | None = None, **headers: str) -> httpx.Response:
        """Exchange a key for a cookie, as a page of this server does."""
        return self.send("POST", "/session", json={"apiKey": key or self.key}, **headers)

    def cookie(self, key: str | None = None) -> str:
        """The cookie of a session, as a browser sends it."""
        morsel = cookie_in(self.sign_in(key))
        self.secrets.add(morsel.value)
        return f"{morsel.key}={morsel.value}"

    def send(self, method: str, path: str, *, json: object = None, **headers: str) -> httpx.Response:
        """Send what a page of this server sends, but for the headers that are told: an empty one is left out."""
        named = {"Origin": self.app.url} | {name.replace("_", "-").title(): text for name, text in headers.items()}
        told = {name: text for name, text in named.items() if text or name == "Authorization"}
        response = self.client.request(method, path, json=json, headers=told)
        self.client.cookies.clear()  # each test says which cookie is sent
        return response

    def ask(self, cookie: str, asked: Mapping[str, Any] = VIEWER, **headers: str) -> httpx.Response:
        """Ask GraphQL by a cookie."""
        return self.send("POST", "/graphql", json=asked, cookie=cookie, **headers)

    def new_key(self, *scopes: str, **given: Any) -> tuple[str, str]:
        """Make an API key; its id and its text."""
        asked = {"query": documents.CREATE_API_KEY, "variables": {"input": {"name": "A", "scopes": scopes, **given}}}
        made = self.ask(self.cookie(), asked).json()["data"]["createApiKey"]
        self.secrets.add(made["key"])
        return made["apiKey"]["id"], made["key"]

    def key_id(self) -> str:
        """The id of its key."""
        answer = self.client.post("/graphql", json=VIEWER, headers={"Authorization": f"Bearer {self.key}"})
        return str(answer.json()["data"]["viewer"]["apiKey"]["id"])

    def revoke(self, key_id: str) -> None:
        """Revoke an API key."""
        asked = {"query": documents.REVOKE_API_KEY, "variables": {"id": key_id}}
        assert "errors" not in self.ask(self.cookie(), asked).json()

    def customers(self) -> int:
        """How many customers there are."""
        return int(self.ask(self.cookie(), CUSTOMERS).json()["data"]["customers"]["totalCount"])


def cookie_in(response: httpx.Response) -> "Morsel[str]":
    """The only cookie that an answer sets."""
    assert response.status_code == 204, response.text
    (line,) = response.headers.get_list("set-cookie")
    (morsel,) = SimpleCookie(line).values()
    return morsel


def refused(response: httpx.Response, status: int, code: str) -> str:
    """What a refusal says; it sets no cookie, and has the form of all the API's."""
    assert response.status_code == status, response.text
    assert "set-cookie" not in response.headers
    (error,) = response.json()["errors"]
    assert error["extensions"]["code"] == code
    return str(error["message"])


def served(database_url: str) -> Iterator[Site]:
    env = {
        "FLUXRATE_ALLOWED_ORIGINS": FRIEND,
        "FLUXRATE_TRUSTED_PROXIES": "127.0.0.1",
        "FLUXRATE_PUBLIC_URL": PUBLIC,
        "FLUXRATE_RATE_LIMIT_PER_ADDRESS": "off",
        "FLUXRATE_RATE_LIMIT_PER_KEY": "off",
    }
    with (
        running_app(database_url, env=env) as app,
        httpx.Client(base_url=app.url, timeout=30, **LOCAL) as client,
    ):
        site = Site(app, database_url, client)
        yield site
        heard = app.stdout + app.stderr + client.get("/metrics").text
        assert "/session" in heard
        assert {secret for secret in site.secrets if secret in heard} == set()


@asynccontextmanager
async def open_socket(site: Site, payload: Mapping[str, Any] | None = None, **headers: str) -> AsyncIterator[Socket]:
    """A socket of this server's page, after connection_init."""
    named = {"Origin": site.app.url} | {name.replace("_", "-").title(): text for name, text in headers.items()}
    told = {name: text for name, text in named.items() if text}
    protocol: Any = ["graphql-transport-ws"]
    async with connect(f"{site.app.ws_url}/graphql", subprotocols=protocol, additional_headers=told) as connection:
        socket = Socket(connection)
        await socket.send({"type": "connection_init", "payload": payload})
        yield socket


async def close_code(socket: Socket) -> int:
    """With which code the server closes."""
    with suppress(ConnectionClosed):
        while True:
            await socket.receive(WITHIN_S)
    return socket.connection.close_code or 1006


async def refusal_code(site: Site, payload: Mapping[str, Any] | None = None, **headers: str) -> int:
    """With which code a socket is close_code that is not acknowledged."""
    async with open_socket(site, payload, **headers) as socket:
        return await close_code(socket)
