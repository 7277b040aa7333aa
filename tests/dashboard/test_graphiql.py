"""GraphiQL as it was built: it loads nothing from elsewhere, and asks by the session or by a key that is typed."""

import asyncio
from pathlib import Path

from playwright.async_api import Browser, Locator, Page, WebSocket, expect

from tests.dashboard.conftest import PATIENCE_MS, NewPerson, Person
from tests.world.app import running_app
from tests.world.documents import CREATE_API_KEY

WORKSPACE = "query Workspace { viewer { workspace { id } } }"
FOLLOW = "subscription Follow { events { type actor } }"


async def write(page: Page, editor: str, text: str) -> None:
    """Replace what an editor holds, at once, so that it completes nothing."""
    await page.get_by_role("region", name=editor).locator(".CodeMirror:visible").click()
    await page.keyboard.press("ControlOrMeta+a")
    await page.keyboard.insert_text(text)


async def run(page: Page, operation: str) -> Locator:
    """Run an operation; where its results are shown."""
    await write(page, "Query Editor", operation)
    await expect(page.get_by_role("tab", name=operation.split()[1])).to_be_visible()
    await page.get_by_role("button", name="Execute query").click()
    return page.get_by_role("region", name="Result Window")


async def follow(page: Page) -> WebSocket:
    """Run the subscription; the socket over which it has begun."""
    begun = asyncio.Event()
    sockets: list[WebSocket] = []

    def opened(socket: WebSocket) -> None:
        sockets.append(socket)
        socket.on("framesent", lambda frame: begun.set() if '"subscribe"' in str(frame) else None)

    page.once("websocket", opened)
    await run(page, FOLLOW)
    async with asyncio.timeout(PATIENCE_MS / 1000):
        await begun.wait()
    return sockets[0]


async def make_key(person: Person) -> None:
    """Something that happens."""
    await person.ask(CREATE_API_KEY, input={"name": "Auditor", "scopes": ["READ"]})


async def test_it_is_a_link_away_and_loads_nothing_from_elsewhere(person: Person) -> None:
    page, asked = person.page, list[str]()
    page.on("request", lambda request: asked.append(request.url))

    await page.get_by_role("link", name="GraphiQL").click()
    await expect(page).to_have_url(f"{person.app.url}/graphiql")
    await asks_what_it_begins_with(page)
    await expect(await run(page, WORKSPACE)).to_contain_text(person.workspace_id)
    await follows_until_it_is_stopped(person)
    await page.get_by_role("button", name="Show Documentation Explorer").click()
    await expect(page.get_by_role("link", name="Subscription")).to_be_visible()

    elsewhere = [url for url in asked if not url.startswith((f"{person.app.url}/", "data:", "blob:"))]
    assert elsewhere == []
    assert any("/assets/graphiql-" in url for url in asked)


async def asks_what_it_begins_with(page: Page) -> None:
    """One of several operations is chosen from a menu."""
    execute = page.get_by_role("button", name="Execute query")
    await expect(execute).to_have_attribute("aria-haspopup", "menu")
    await execute.click()
    await page.get_by_role("menuitem", name="Invoices").click()

    await expect(page.get_by_role("region", name="Result Window")).to_contain_text('"nodes": []')


async def follows_until_it_is_stopped(person: Person) -> None:
    """A subscription shows what happens."""
    socket = await follow(person.page)
    await make_key(person)
    await expect(person.page.get_by_role("region", name="Result Window")).to_contain_text("API_KEY_CREATED")
    async with socket.expect_event("close"):
        await person.page.get_by_role("button", name="Stop query").click()


async def test_where_it_is_switched_off_no_link_leads_to_it(browser: Browser, tmp_path: Path) -> None:
    with running_app(cwd=tmp_path, env={"FLUXRATE_GRAPHIQL": "off"}) as app:
        page = await browser.new_page()
        await page.goto(app.url)
        await page.get_by_label("API key").fill(app.announced["apiKey"])
        await page.get_by_role("button", name="Sign in").click()

        await expect(page.get_by_role("button", name="Sign out")).to_be_visible()
        await expect(page.get_by_role("link", name="GraphiQL")).to_have_count(0)


async def test_who_has_no_session_types_a_key_which_asks_and_follows_and_is_kept_nowhere(new_person: NewPerson) -> None:
    """Without one they are refused, over the socket too."""
    page = (stranger := await new_person()).page
    await page.goto(f"{stranger.app.url}/graphiql")
    result = page.get_by_role("region", name="Result Window")
    await expect(result).to_contain_text("UNAUTHENTICATED")
    await expect(await run(page, FOLLOW)).to_contain_text("The socket was closed: 4401")

    await write(page, "Headers", f'{{"Authorization": "Bearer {stranger.api_key}"}}')
    await page.get_by_role("button", name="Re-fetch GraphQL schema").click()
    await expect(await run(page, WORKSPACE)).to_contain_text(stranger.workspace_id)
    await follow(page)
    await make_key(stranger)

    await expect(result).to_contain_text("API_KEY_CREATED")
    kept = await page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    assert "viewer" in kept or "events" in kept
    assert stranger.api_key not in kept
