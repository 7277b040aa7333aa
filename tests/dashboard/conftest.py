"""Chromium, and a person who uses the dashboard in it by what they see: labels, buttons, headings."""

import os
import shutil
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, async_playwright, expect

from edge.dashboard import is_built
from tests.world.app import Running, RunningApp
from tests.world.documents import CONNECT, CREATE_CUSTOMER, CREATE_INVOICE, FINALIZE
from tests.world.graphql_client import GraphQLClient
from tests.world.house import LARGE, Servers, secret_key_of, serve
from tests.world.local import LOCAL

HERE: Final = Path(__file__).resolve().parent
CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE_MS: Final = 20_000
WINDOW: Final[dict[str, Any]] = {
    "viewport": {"width": 1280, "height": 860},
    "reduced_motion": "reduce",  # what moves without end is painted without end
}
"""What a window is like unless a test says otherwise."""

EXPECTED: Final = ("status of 401", "WebSocket connection", "ERR_CONNECTION", "status of 503")
"""What Chromium says of answers that a test provokes."""

expect.set_options(timeout=PATIENCE_MS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests of this folder in one loop, which is the browser's."""
    for item in items:
        if item.path.parent == HERE and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """The session's browser; tests are skipped where there is none."""
    if CHROMIUM is None:
        pytest.skip("needs Chromium: install it (Debian: apt install chromium)")
    if not is_built() and os.environ.get("FLUXRATE_REQUIRE_NODE") != "1":
        pytest.skip("the dashboard is not built: run scripts/install, which says why it can't be")
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox"],  # root in a container has none
        )
        try:
            yield launched
        finally:
            await launched.close()


class Windows:
    """Windows of a browser. One that was left is used again by the next test: nothing but files is still in it.

    Chromium makes a profile for each, and loads and compiles the dashboard anew: much of what a short test costs.
    """

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser = browser
        self._url = url
        self._left: defaultdict[str, list[BrowserContext]] = defaultdict(list)
        self._used: list[tuple[str, BrowserContext]] = []

    async def open(self, **options: Any) -> Page:
        """A page in a window that nobody has now."""
        wanted = WINDOW | options
        kind = repr(wanted)
        context = self._left[kind].pop() if self._left[kind] else await self._browser.new_context(**wanted)
        self._used.append((kind, context))
        context.set_default_timeout(PATIENCE_MS)
        page = await context.new_page()
        await self._forget(page)
        return page

    async def leave_all(self) -> None:
        """Close the pages of all windows, and keep these for the next."""
        while self._used:
            kind, context = self._used.pop()
            for page in context.pages:
                await page.close()
            self._left[kind].append(context)

    async def _forget(self, page: Page) -> None:
        """Remove what the last person left: cookies, storage and permissions."""
        await page.context.clear_cookies()
        await page.context.clear_permissions()
        devtools = await page.context.new_cdp_session(page)
        await devtools.send("Storage.clearDataForOrigin", {"origin": self._url, "storageTypes": "all"})
        await devtools.detach()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def windows(browser: Browser, servers: Servers) -> Windows:
    """The session's windows."""
    return Windows(browser, servers.app.url)


@dataclass(frozen=True)
class Person:
    """Somebody before a window of the dashboard. `errors` is what went wrong in the page without being shown."""

    page: Page
    app: RunningApp
    simulator: Running
    api_key: str
    workspace_id: str
    errors: list[str]

    async def sign_in(self, api_key: str | None = None) -> None:
        """By the form."""
        await self.page.goto(self.app.url)
        await self.page.get_by_label("API key").fill(api_key or self.api_key)
        await self.press("Sign in")
        await expect(self.page.get_by_text("Live", exact=True)).to_be_visible()

    async def enter(self, path: str = "/") -> None:
        """With a session already, as somebody who comes back."""
        await self.has_signed_in()
        await self.page.goto(f"{self.app.url}{path}")
        await expect(self.page.get_by_text("Live", exact=True)).to_be_visible()

    async def has_signed_in(self) -> None:
        """Have a session, and no page open yet."""
        url, origin = f"{self.app.url}/session", {"Origin": self.app.url}
        signed_in = await self.page.context.request.post(url, data={"apiKey": self.api_key}, headers=origin)
        assert signed_in.ok, await signed_in.text()

    async def go(self, name: str) -> None:
        """By a link of the navigation."""
        await self.page.get_by_role("navigation").get_by_role("link", name=name, exact=True).click()
        await expect(self.page.get_by_role("heading", level=1, name=name, exact=True)).to_be_visible()

    async def press(self, name: str) -> None:
        """A button."""
        await self.page.get_by_role("button", name=name, exact=True).first.click()

    async def fill(self, **fields: str) -> None:
        """Type into fields by their labels, whose spaces are underscores here."""
        for label, text in fields.items():
            await self.page.get_by_label(label.replace("_", " "), exact=True).fill(text)

    def status(self, text: str) -> Locator:
        """What the page says of a state."""
        return self.page.locator(".status", has_text=text).first

    async def connect(self, *, register: bool = True) -> None:
        """Connect the workspace's Stripe account, and have the webhook added."""
        await self.go("Integrations")
        await self.press("Connect")
        await self.fill(Connection_Name="Production Stripe", Secret_Key=secret_key_of(self.workspace_id))
        if register:
            await self.page.get_by_text("Add the webhook in Stripe for me").click()
        await self.press("Create Connection")
        await expect(self.page.get_by_label("Webhook URL")).to_be_visible()

    async def draft(self, unit_amount: str = "46.20", customer: str = "Ada Lovelace") -> None:
        """Make a draft of one line for a new customer."""
        await self.go("Invoices")
        await self.press("New invoice")
        await self.press("New customer")
        await self.fill(Name=customer, Email="ada@example.com")
        await self.press("Create customer")
        await self.fill(Description="Work", Unit_amount=unit_amount)
        await self.press("Create draft")
        await expect(self.page.get_by_role("heading", name="Draft invoice")).to_be_visible()

    async def finalize(self) -> str:
        """Finalize the draft that is open; the URL of its payment link."""
        await self.press("Finalize")
        link = self.page.get_by_label("Payment link URL")
        await expect(link).to_be_visible()
        return await link.input_value()

    async def ask(self, document: str, **variables: Any) -> dict[str, Any]:
        """Have something done by the API, as a program does: the result of a document's only field."""
        async with GraphQLClient(self.app.url, self.api_key) as client:
            return await client.mutate(document, **variables)

    async def has_connected(self, *, register: bool = True) -> dict[str, Any]:
        """The integration that `connect` makes, without its form."""
        given = {"name": "Production Stripe", "secretKey": secret_key_of(self.workspace_id)}
        made = await self.ask(CONNECT, input={**given, "registerWebhook": register})
        integration: dict[str, Any] = made["integration"]
        return integration

    async def has_drafted(self, unit_amount: str = "46.20", customer: str = "Ada Lovelace") -> str:
        """The id of the draft that `draft` makes, without its form."""
        made = await self.ask(CREATE_CUSTOMER, input={"name": customer, "email": "ada@example.com"})
        lines = [{"description": "Work", "quantity": "1", "unitAmount": unit_amount}]
        given = {"customerId": made["customer"]["id"], "currency": "USD", "lineItems": lines}
        return str((await self.ask(CREATE_INVOICE, input=given))["invoice"]["id"])

    async def has_finalized(self, draft_id: str) -> str:
        """The URL of a draft's payment link, once it is finalized."""
        return str((await self.ask(FINALIZE, id=draft_id))["invoice"]["paymentLink"]["url"])

    async def pay(self, link: str, **how: Any) -> None:
        """As the customer, at Stripe."""
        async with httpx.AsyncClient(**LOCAL, timeout=30) as http:
            (await http.post(link, data=how or {"outcome": "paid"})).raise_for_status()


@pytest.fixture(scope="session", params=[LARGE])
def servers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """The product as it is run large: what one worker does has to be seen by whom another serves."""
    yield from serve(request, tmp_path_factory)


NewPerson = Callable[..., Awaitable[Person]]


@pytest_asyncio.fixture(loop_scope="session")
async def new_person(windows: Windows, servers: Servers) -> AsyncIterator[NewPerson]:
    """Somebody of a workspace of their own, or of another's, in a window of their own. No page may break silently."""
    people: list[Person] = []

    async def arrive(beside: Person | None = None, **window: Any) -> Person:
        page, errors = await windows.open(**window), list[str]()

        def note(message: ConsoleMessage) -> None:
            if message.type in {"error", "warning"} and not any(text in message.text for text in EXPECTED):
                errors.append(message.text)

        page.on("console", note)
        page.on("pageerror", lambda error: errors.append(str(error)))
        if beside is None:
            workspace_id, key = servers.app.workspace()
        else:
            key, workspace_id = beside.api_key, beside.workspace_id
        person = Person(page, servers.app, servers.simulator, key, workspace_id, errors)
        people.append(person)
        return person

    yield arrive
    try:
        assert [person.errors for person in people] == [[]] * len(people)
    finally:
        await windows.leave_all()


@pytest_asyncio.fixture(loop_scope="session")
async def person(new_person: NewPerson) -> Person:
    """Somebody who is signed in."""
    somebody = await new_person()
    await somebody.enter()
    return somebody
