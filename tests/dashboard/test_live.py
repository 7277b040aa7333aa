"""What is shown is what is so: at once, in every window, and said when it can't be known."""

import httpx
from playwright.async_api import Route, expect

from tests.dashboard.conftest import NewPerson, Person
from tests.world.app import running_app
from tests.world.documents import UPDATE_INTEGRATION
from tests.world.house import Servers
from tests.world.local import LOCAL
from tests.world.stripe_payloads import body, payment_intent_succeeded, signed_headers


async def test_an_invoice_goes_paid_in_two_windows(new_person: NewPerson) -> None:
    person = await new_person()
    await person.has_connected()
    invoice = await person.has_drafted()
    link = await person.has_finalized(invoice)
    await person.enter(f"/invoices/{invoice}")
    await expect(person.status("Open")).to_be_visible()
    other = await new_person(beside=person)
    await other.enter("/invoices")
    row = other.page.get_by_role("table", name="Invoices").get_by_role("row").filter(has_text="INV-")
    await expect(row).to_contain_text("Open")

    await person.pay(link)
    await expect(row).to_contain_text("Paid")
    await expect(person.status("Paid")).to_be_visible()


async def test_a_new_webhook_event_comes_on_top_by_itself(person: Person) -> None:
    page = person.page
    await person.has_connected()
    await person.go("Webhook Events")
    await expect(page.get_by_text("Stripe has not posted anything yet.")).to_be_visible()
    link = await person.has_finalized(await person.has_drafted())
    rows = page.get_by_role("table", name="Webhook events").get_by_role("row").filter(has_text="Processed")
    await person.pay(link)
    await expect(rows).to_have_count(2)


async def test_a_sign_in_link_works_where_the_dashboard_is_open_already(new_person: NewPerson) -> None:
    """Pasted into the same tab it loads nothing anew; and the key is not left in the address."""
    somebody = await new_person()
    page = somebody.page
    await page.goto(somebody.app.url)
    await expect(page.get_by_label("API key")).to_be_visible()

    await page.goto(f"{somebody.app.url}/#key={somebody.api_key}")

    await expect(page.get_by_text("Live", exact=True)).to_be_visible()
    assert page.url == f"{somebody.app.url}/"


async def test_a_key_that_is_revoked_signs_out(person: Person) -> None:
    page = person.page
    await person.go("Settings")
    await person.press("Revoke")
    await expect(page.get_by_role("alertdialog")).to_contain_text("you will be signed out")
    await person.press("Revoke key")
    await expect(page.get_by_label("API key")).to_be_visible()
    await expect(page.get_by_role("alert")).to_contain_text("Your session has ended")


async def test_signing_out_ends_the_session_and_one_that_failed_is_said(person: Person) -> None:
    page = person.page

    async def fail(route: Route) -> None:
        await (route.abort() if route.request.method == "DELETE" else route.continue_())

    await page.route("**/session", fail)
    await person.press("Sign out")
    await expect(page.get_by_role("alert")).to_contain_text("You are still signed in")
    await expect(page.get_by_role("navigation")).to_be_visible()
    person.errors.clear()  # Chromium tells of the request that failed

    await page.unroute("**/session")
    await person.press("Sign out")
    await expect(page.get_by_label("API key")).to_be_focused()
    await page.reload()
    await expect(page.get_by_label("API key")).to_be_visible()


async def test_a_link_signs_in_by_its_fragment_and_forgets_it(new_person: NewPerson) -> None:
    somebody = await new_person()
    await somebody.page.goto(f"{somebody.app.url}/invoices#key={somebody.api_key}")
    await expect(somebody.page.get_by_role("heading", level=1, name="Invoices")).to_be_visible()
    assert somebody.page.url == f"{somebody.app.url}/invoices"
    assert somebody.api_key not in await somebody.page.content()


async def test_a_key_that_may_only_read_is_offered_nothing_more(person: Person, new_person: NewPerson) -> None:
    page = person.page
    await person.go("Settings")
    await person.press("Create API key")
    await person.fill(Name="Auditor")
    await person.press("Create")
    key = await page.get_by_label("New API key").input_value()
    auditor = await new_person(beside=person)
    await auditor.sign_in(key)
    await auditor.go("Integrations")
    await expect(auditor.page.get_by_role("button", name="Connect", exact=True)).to_have_count(0)
    await auditor.go("Invoices")
    await expect(auditor.page.get_by_role("button", name="New invoice")).to_have_count(0)
    await auditor.page.goto(f"{auditor.app.url}/invoices/new")
    await expect(auditor.page.get_by_role("button", name="Create draft")).to_have_count(0)


async def test_a_restart_is_said_and_nothing_is_missed(
    new_person: NewPerson, servers: Servers, migrated_sqlite_url: str
) -> None:
    """The page says that it is reconnecting, comes back by itself, and shows what happened meanwhile."""
    with running_app(migrated_sqlite_url, stripe_api_base=servers.simulator.url) as first:
        made = first.workspace()
        port = int(first.url.rsplit(":", 1)[1])
        somebody = await new_person()
        page = somebody.page
        await page.goto(f"{first.url}/#key={made.api_key}")
        await expect(page.get_by_text("Live", exact=True)).to_be_visible()
        first.stop()
        await expect(page.get_by_text("Reconnecting …")).to_be_visible()
    with running_app(migrated_sqlite_url, stripe_api_base=servers.simulator.url, port=port) as second:
        second.cli("key", "create", "--workspace", made.id, "--name", "Another")
        await expect(page.get_by_text("Live", exact=True)).to_be_visible()
        await expect(page.get_by_text("An API key was created")).to_have_count(2)


async def post_stray(person: Person) -> None:
    """Connect, and have Stripe tell of $20.00 for an invoice that there is not."""
    secret = "whsec_" + "s" * 24
    integration = await person.has_connected(register=False)
    await person.ask(UPDATE_INTEGRATION, input={"id": integration["id"], "webhookSecret": secret})
    url = integration["webhookUrl"]
    unknown = "inv_01m8gf9kdze8s9qkg3cj9xvv7r"
    stray = body(
        payment_intent_succeeded(amount=2000, currency="usd", invoice_id=unknown, workspace_id=person.workspace_id)
    )
    async with httpx.AsyncClient(**LOCAL) as http:
        (await http.post(url, content=stray, headers=signed_headers(stray, secret))).raise_for_status()


async def test_an_event_is_replayed_after_a_look_at_what_would_change(person: Person) -> None:
    page = person.page
    await post_stray(person)
    await person.go("Webhook Events")
    await page.get_by_label("Status").select_option("UNAPPLIED")
    await page.get_by_role("row").filter(has_text="payment_intent.succeeded").get_by_role("link").click()
    await person.press("Replay")
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("Nothing else would change")
    await person.press("Replay now")
    await expect(dialog).to_contain_text("Nothing else has changed")
    await person.press("Close")

    await person.go("Webhook Events")
    await person.press("Replay all")
    await expect(dialog).to_contain_text("1 event would be tried again")
    await dialog.get_by_role("button", name="Replay").click()
    await expect(dialog).to_contain_text("1 event tried again. Nothing has changed.")


async def test_money_that_fits_no_invoice_is_applied_by_hand(person: Person) -> None:
    page = person.page
    await post_stray(person)
    await person.has_finalized(await person.has_drafted(unit_amount="20"))

    await page.get_by_role("link", name="One thing needs your attention").click()
    await page.get_by_role("link", name="$20.00").click()
    await page.get_by_role("combobox", name="Invoice").select_option(index=1)
    await person.press("Apply")
    await expect(person.status("Succeeded")).to_be_visible()
    await expect(person.status("Paid")).to_be_visible()
    await person.go("Needs attention")
    await expect(page.get_by_role("link", name="$20.00")).to_have_count(0)
