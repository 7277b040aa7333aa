"""What a business keeps for itself, on the pages of a customer and of an invoice."""

from playwright.async_api import Page, expect

from tests.dashboard.conftest import NewPerson, Person


async def keep(person: Person, key: str, value: str) -> None:
    """Add an entry, or change it."""
    await person.press("Add entry")
    await person.fill(Key=key, Value=value)
    await person.press("Save entry")


async def keeps_and_removes(person: Person, page: Page) -> None:
    """On the page that is open."""
    card = page.get_by_role("region", name="Metadata")

    await keep(person, "order", "A-1")
    await expect(card.get_by_role("term")).to_have_text("order")
    await keep(person, "order", "A-2")
    await expect(card).to_contain_text("A-2")
    await keep(person, "k" * 41, "1")
    await expect(card).to_contain_text("shorten it to at most 40")
    await person.press("Cancel")
    await person.press("Remove order")
    await expect(card.get_by_role("term")).to_have_count(0)


async def test_entries_are_kept_changed_and_removed(new_person: NewPerson) -> None:
    """Of an invoice that is finalized, too."""
    page = (person := await new_person()).page
    await person.has_connected()
    invoice = await person.has_drafted()
    await person.has_finalized(invoice)
    await person.enter(f"/invoices/{invoice}")

    await keeps_and_removes(person, page)
    await page.get_by_role("link", name="Ada Lovelace").click()
    await expect(page.get_by_role("heading", level=1, name="Ada Lovelace")).to_be_visible()
    await keeps_and_removes(person, page)
