"""The user's guide as clicks: its four steps, and each row of "Managing the integration"."""

import httpx
from playwright.async_api import expect

from tests.dashboard.conftest import Person
from tests.world.house import secret_key_of
from tests.world.local import LOCAL

NEEDED = [
    "checkout.session.completed",
    "payment_intent.succeeded",
    "payment_intent.payment_failed",
    "invoice.payment_succeeded",
    "invoice.payment_failed",
]


async def test_the_four_steps_lead_to_a_paid_invoice(person: Person) -> None:
    page = person.page
    await person.go("Integrations")
    await person.press("Connect")
    await person.fill(Connection_Name="Production Stripe", Secret_Key=secret_key_of(person.workspace_id))
    await expect(page.get_by_label("Webhook Secret")).to_be_empty()
    await person.press("Create Connection")

    url = await page.get_by_label("Webhook URL").input_value()
    await expect(page.get_by_role("button", name="Copy", exact=True)).to_be_visible()
    for type_ in NEEDED:
        await expect(page.get_by_text(type_, exact=True)).to_be_visible()
    steps = page.get_by_role("list", name="Setup").get_by_role("listitem")
    await expect(steps.filter(has_text="still missing")).to_have_count(3)

    async with httpx.AsyncClient(**LOCAL, auth=(secret_key_of(person.workspace_id), "")) as stripe:
        events = {f"enabled_events[{place}]": name for place, name in enumerate(NEEDED)}
        made = await stripe.post(f"{person.simulator.url}/v1/webhook_endpoints", data={"url": url, **events})

    await person.go("Integrations")
    await person.press("Manage")
    await person.fill(Webhook_Secret=made.json()["secret"])
    await person.press("Save Changes")
    await expect(page.get_by_text("Saved.", exact=True)).to_be_visible()
    await expect(person.status("Ready")).to_be_visible()
    manage = page.url

    await person.draft()
    link = await person.finalize()
    await person.pay(link)
    await expect(person.status("Paid")).to_be_visible()
    await expect(page.get_by_text("is paid")).to_be_visible()

    await page.goto(manage)
    await expect(steps.filter(has_text="done")).to_have_count(4)
    await person.go("Webhook Events")
    rows = page.get_by_role("table", name="Webhook events").get_by_role("row")
    await expect(rows.filter(has_text="checkout.session.completed").filter(has_text="Processed")).to_be_visible()


async def test_a_wrong_secret_key_is_refused_beside_its_field(person: Person) -> None:
    page = person.page
    await person.go("Integrations")
    await person.press("Connect")
    await person.fill(Connection_Name="Stripe", Secret_Key="pk_test_not_a_secret_key")
    await person.press("Create Connection")
    field = page.get_by_label("Secret Key")
    await expect(field).to_have_attribute("aria-invalid", "true")
    await expect(page.locator(".field-error")).to_contain_text("sk_")

    await field.fill(secret_key_of(person.workspace_id))
    await person.press("Create Connection")
    await expect(page.get_by_label("Webhook URL")).to_be_visible()


async def test_an_integration_is_repaired_rotated_switched_off_and_disconnected(person: Person) -> None:
    await person.has_connected(register=False)
    await person.go("Integrations")
    await person.press("Manage")
    await expect(person.page.get_by_label("Webhook URL")).to_be_visible()

    await check_repair_and_sync_say_what_they_found(person)
    await both_secrets_are_rotated_by_save_changes(person)
    await it_is_switched_off_and_on(person)
    await disconnect_names_what_follows_and_offers_to_disable_for_now(person)


async def both_secrets_are_rotated_by_save_changes(person: Person) -> None:
    page = person.page
    before = await page.locator(".facts").inner_text()
    account = secret_key_of(person.workspace_id).rpartition("_")[0]
    await person.fill(Secret_Key=f"{account}_9876542468", Webhook_Secret="whsec_" + "n" * 24)
    await person.press("Save Changes")
    await expect(page.get_by_text("Saved.", exact=True)).to_be_visible()
    await expect(page.get_by_text("verifies until")).to_be_visible()
    after = await page.locator(".facts").inner_text()

    assert "…2468" in after
    assert "whsec_…nnnn" in after
    assert before != after
    await expect(page.get_by_label("Secret Key")).to_be_empty()


async def it_is_switched_off_and_on(person: Person) -> None:
    page = person.page
    switch = page.get_by_role("switch", name="Active")
    await switch.press("Space")
    await expect(person.status("Inactive")).to_be_visible()
    await expect(switch).not_to_be_checked()
    await switch.press("Space")
    await expect(person.status("Ready")).to_be_visible()
    await expect(switch).to_be_checked()


async def disconnect_names_what_follows_and_offers_to_disable_for_now(person: Person) -> None:
    page = person.page
    await person.go("Integrations")

    async def ask() -> None:
        await person.press("More actions")
        await page.get_by_role("menuitem", name="Disconnect").click()
        await expect(page.get_by_role("alertdialog")).to_contain_text("go unnoticed")

    await ask()
    await person.press("Disable for now")
    await expect(person.status("Inactive")).to_be_visible()
    await ask()
    await expect(page.get_by_role("alertdialog")).not_to_contain_text("Disable for now")
    await person.press("Remove entirely")
    await expect(page.get_by_text("No Stripe account is connected yet.")).to_be_visible()


async def check_repair_and_sync_say_what_they_found(person: Person) -> None:
    page = person.page
    await person.press("Check")
    await expect(page.get_by_text("found.")).to_be_visible()
    await person.press("Repair")
    await expect(page.get_by_text("Repaired:")).to_be_visible()
    await expect(person.status("Ready")).to_be_visible()
    await person.press("Sync")
    await expect(page.get_by_text("0 events found at Stripe")).to_be_visible()
