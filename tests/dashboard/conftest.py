"""Chromium, and a person who uses the dashboard in it by what they see: labels, buttons, headings."""

import os
import shutil
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
from tests.world.house import LARGE, Servers, secret_key_of, serve
from tests.world.local import LOCAL

HERE: Final = Path(__file__).resolve().parent
CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE_MS: Final = 20_000
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
    """The session's browser, in which each person has a window that shares nothing; tests are skipped where there is
    none.
    """
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
async def new_person(browser: Browser, servers: Servers) -> AsyncIterator[NewPerson]:
    """Somebody of a workspace of their own, or of another's, in a window of their own. No page may break silently."""
    people: list[Person] = []

    async def arrive(beside: Person | None = None, **window: Any) -> Person:
        context: BrowserContext = await browser.new_context(**({"viewport": {"width": 1280, "height": 860}} | window))
        context.set_default_timeout(PATIENCE_MS)
        page, errors = await context.new_page(), list[str]()

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
        for person in people:
            await person.page.context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def person(new_person: NewPerson) -> Person:
    """Somebody who has signed in."""
    somebody = await new_person()
    await somebody.sign_in()
    return somebody
