"""When answers are late, lost or refused: nothing is shown as live that is not, and nothing is done elsewhere."""

import asyncio
import json
from typing import Final

import httpx
from playwright.async_api import Route, expect

from tests.dashboard.conftest import NewPerson, Person
from tests.world.documents import CREATE_CUSTOMER, CREATE_INVOICE, FINALIZE
from tests.world.graphql_client import GraphQLClient
from tests.world.house import Servers
from tests.world.local import LOCAL

MANY: Final = 60
"""More than a page of a list."""


async def test_a_tab_never_acts_in_a_workspace_that_it_does_not_show(person: Person, new_person: NewPerson) -> None:
    """Tabs of a browser share a session: a second tab signs in to another workspace."""
    stranger = await new_person()
    tab = await person.page.context.new_page()
    await person.go("Customers")
    await person.press("New customer")
    await person.fill(Name="Ada", Email="ada@example.com")
    await tab.goto(f"{person.app.url}/#key={stranger.api_key}")
    await expect(tab.get_by_role("heading", name="Sign in with this link?")).to_be_visible()
    await tab.get_by_role("button", name="Sign in with the link").click()
    await expect(tab.get_by_text("Live", exact=True)).to_be_visible()

    await expect(person.page.get_by_label("Name", exact=True)).to_have_count(0)  # it was loaded again
    asked = await person.page.evaluate(
        """async (keyId) => (await fetch("/graphql", {
            method: "POST",
            headers: { "content-type": "application/json", "fluxrate-api-key-id": keyId },
            body: '{"query": "{ viewer { workspace { id } } }"}',
        })).status""",
        "key_of_before",
    )
    assert asked == 401


async def test_a_page_that_can_not_be_loaded_says_so_and_a_list_that_failed_comes_by_itself(person: Person) -> None:
    await person.page.route("**/assets/payments-*.js", lambda route: route.abort())
    await person.page.get_by_role("link", name="Payments", exact=True).click()
    await expect(person.page.get_by_role("alert")).to_contain_text("could not be loaded")
    await person.go("Invoices")
    person.errors.clear()  # Chromium tells of the request that failed

    failures = iter([True])

    async def fail_once(route: Route) -> None:
        await (route.abort() if next(failures, False) else route.continue_())

    await person.page.route("**/graphql", fail_once)
    await person.go("Customers")
    await expect(person.page.get_by_role("alert")).to_contain_text("can't be reached")
    await expect(person.page.get_by_text("There are no customers yet.")).to_be_visible()
    await expect(person.page.get_by_role("alert")).to_have_count(0)
    person.errors.clear()


async def draft(client: GraphQLClient, customer_id: str) -> str:
    lines = [{"description": "Work", "quantity": "1", "unitAmount": "20"}]
    given = {"customerId": customer_id, "currency": "USD", "lineItems": lines}
    made = await client.mutate(CREATE_INVOICE, input=given)
    return str(made["invoice"]["id"])


async def test_what_happens_while_a_list_is_asked_for_shows(person: Person) -> None:
    """The answer that was on its way is from before: the list is asked for again after it."""
    page, held = person.page, asyncio.Event()
    async with GraphQLClient(person.app.url, person.api_key) as client:
        customer = await client.mutate(CREATE_CUSTOMER, input={"name": "Ada", "email": "ada@example.com"})
        invoice = await draft(client, customer["customer"]["id"])

        async def hold_first(route: Route) -> None:
            asked = json.loads(route.request.post_data or "{}")
            if "query Invoices" in asked.get("query", "") and not held.is_set():
                answer = await route.fetch()
                held.set()
                await client.mutate(FINALIZE, id=invoice)
                await asyncio.sleep(0.5)
                await route.fulfill(response=answer)
            else:
                await route.continue_()

        await page.route("**/graphql", hold_first)
        await person.go("Invoices")
        rows = page.get_by_role("table", name="Invoices").get_by_role("row")
        await expect(rows.filter(has_text="Open")).to_be_visible()


async def test_no_row_is_lost_while_a_list_loads_on(person: Person) -> None:
    """An invoice comes on top while the next page is on its way: it begins where the page before it ends now."""
    page, held, seen = person.page, asyncio.Event(), asyncio.Event()
    async with GraphQLClient(person.app.url, person.api_key) as client:
        customer = await client.mutate(CREATE_CUSTOMER, input={"name": "Ada", "email": "ada@example.com"})
        customer_id = customer["customer"]["id"]
        for _ in range(MANY):
            await draft(client, customer_id)

        async def hold_second(route: Route) -> None:
            asked = json.loads(route.request.post_data or "{}")
            if asked.get("variables", {}).get("after") and not held.is_set():
                answer = await route.fetch()
                held.set()
                await draft(client, customer_id)
                await asyncio.sleep(0.5)
                await seen.wait()
                await route.fulfill(response=answer)
            else:
                await route.continue_()

        await page.route("**/graphql", hold_second)
        await person.go("Invoices")
        table = page.get_by_role("table", name="Invoices")
        await expect(table.get_by_role("row").filter(has_text="Draft").first).to_be_visible()
        await expect(table).to_have_attribute("aria-rowcount", "-1")
        seen.set()
        await page.mouse.wheel(0, 10_000)
        await expect(table).to_have_attribute("aria-rowcount", str(MANY + 2))


async def test_the_same_form_after_a_lost_answer_can_be_changed_and_sent(person: Person) -> None:
    """What was corrected is another request, with an idempotency key of its own."""
    page = person.page
    await person.go("Customers")
    await person.press("New customer")
    failures = iter([True])

    async def lose_answer(route: Route) -> None:
        asked = json.loads(route.request.post_data or "{}")
        if "mutation CreateCustomer" in asked.get("query", "") and next(failures, False):
            await route.fetch()
            await route.abort()
        else:
            await route.continue_()

    await page.route("**/graphql", lose_answer)
    await person.fill(Name="Ada", Email="ada@example.com")
    await person.press("Create customer")
    await expect(page.get_by_role("alert")).to_contain_text("can't be reached")
    await person.fill(Email="ada@example.org")
    await person.press("Create customer")
    await expect(page.get_by_role("heading", level=1, name="Ada")).to_be_visible()
    person.errors.clear()


async def test_a_draft_waits_for_the_customer_who_is_being_made(person: Person) -> None:
    page = person.page

    async def answer_late(route: Route) -> None:
        asked = json.loads(route.request.post_data or "{}")
        if "mutation CreateCustomer" in asked.get("query", ""):
            await asyncio.sleep(1)
        await route.continue_()

    await page.route("**/graphql", answer_late)
    await person.draft()


async def test_a_refusal_ends_once_the_customer_is_picked(person: Person) -> None:
    page = person.page
    await person.go("Invoices")
    await person.press("New invoice")
    await person.fill(Description="Work", Unit_amount="46.20")
    await person.press("Create draft")
    await expect(page.get_by_role("alert")).to_contain_text("Choose a customer")
    await person.press("New customer")
    await person.fill(Name="Ada", Email="ada@example.com")
    await person.press("Create customer")
    await expect(page.get_by_role("button", name="Change", exact=True)).to_be_visible()
    await expect(page.get_by_role("alert")).to_have_count(0)
    await person.press("Create draft")
    await expect(page.get_by_role("heading", name="Draft invoice")).to_be_visible()


async def test_a_session_is_refused_to_a_page_of_another(servers: Servers) -> None:
    """The header counts for a session alone: a key says whose it is."""
    async with httpx.AsyncClient(base_url=servers.app.url, **LOCAL) as http:
        origin = {"Origin": servers.app.url}
        key = servers.app.workspace().api_key
        (await http.post("/session", json={"apiKey": key}, headers=origin)).raise_for_status()
        query = {"query": "{ viewer { apiKey { id } } }"}
        own = (await http.post("/graphql", json=query, headers=origin)).json()["data"]["viewer"]["apiKey"]["id"]
        meant = [
            (await http.post("/graphql", json=query, headers={**origin, "Fluxrate-Api-Key-Id": id_})).status_code
            for id_ in (own, "key_of_another")
        ]
    assert meant == [200, 401]
