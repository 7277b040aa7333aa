"""The main job without a pointer: Tab, Enter, Space, arrows and Escape, the focus seen at every step and never lost."""

from dataclasses import dataclass
from typing import Final

from playwright.async_api import Locator, Page, expect

from tests.dashboard.conftest import NewPerson, Person
from tests.world.house import secret_key_of

MAX_TABS: Final = 60
HAS_RING: Final = """() => {
  const at = document.activeElement;
  if (at === document.body) return false;
  const ringed = [[at], [at, "::after"], [at.parentElement], [at.parentElement.querySelector(".toggle-track")]];
  return ringed.filter(([each]) => each).some(([each, pseudo]) => {
    const style = getComputedStyle(each, pseudo);
    return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
  });
}"""
IS_AMONG: Final = "all => all.includes(document.activeElement)"
WHERE: Final = "document.activeElement.outerHTML.slice(0, 200)"


@dataclass(frozen=True)
class Keys:
    """Somebody who has a keyboard only."""

    page: Page

    async def reach(self, wanted: Locator, key: str = "Tab") -> None:
        """Go on from where the focus is until something has it; on the way it is seen where it is."""
        await expect(wanted).to_be_visible()
        for _ in range(MAX_TABS):
            await self.page.keyboard.press(key)
            if await wanted.evaluate_all(IS_AMONG):  # a menu that opens on the way hides what is behind it
                assert await self.page.evaluate(HAS_RING), await self.page.evaluate(WHERE)
                return
        raise AssertionError(f"{wanted} is not reached by {key} from {await self.page.evaluate(WHERE)}")

    async def use(self, role: str, name: str, key: str = "Enter", by: str = "Tab") -> None:
        """Reach a control and press a key on it."""
        await self.reach(self.page.get_by_role(role, name=name, exact=True).first, by)  # type: ignore[arg-type]
        await self.page.keyboard.press(key)

    async def type(self, label: str, text: str) -> None:
        """Reach a field and type into it, instead of what is there."""
        await self.reach(self.page.get_by_label(label, exact=True).first)
        await self.page.keyboard.press("Control+a")
        await self.page.keyboard.type(text)

    async def go(self, name: str) -> None:
        """Go back to the navigation and take a link of it."""
        await self.use("link", name, by="Shift+Tab")
        await self.arrive(name)

    async def arrive(self, heading: str) -> None:
        """Be at the top of a page."""
        await expect(self.page.get_by_role("heading", level=1, name=heading, exact=True)).to_be_visible()
        await expect(self.page.locator("main#page")).to_be_focused()


async def test_an_invoice_is_made_sent_and_voided_by_keys_alone(new_person: NewPerson) -> None:
    person = await new_person()
    page, keys = person.page, Keys(person.page)
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])

    # Sign in: the field is where one begins.
    await page.goto(person.app.url)
    await expect(page.get_by_label("API key")).to_be_focused()
    await page.keyboard.type(person.api_key)
    await page.keyboard.press("Enter")
    await keys.arrive("Overview")

    # Connect.
    await keys.go("Integrations")
    await keys.use("button", "Connect")
    await keys.arrive("Connect Stripe")
    await keys.type("Connection Name", "Production Stripe")
    await keys.type("Secret Key", secret_key_of(person.workspace_id))
    await keys.reach(page.get_by_role("checkbox"))
    await page.keyboard.press("Space")
    await expect(page.get_by_role("checkbox")).to_be_checked()
    await keys.use("button", "Create Connection")
    await keys.arrive("Production Stripe")

    # A customer and an invoice.
    await keys.go("Invoices")
    await keys.use("button", "New invoice")
    await keys.arrive("New invoice")
    await keys.use("button", "New customer")
    await expect(page.get_by_label("Name", exact=True)).to_be_focused()
    await page.keyboard.type("Ada Lovelace")
    await keys.type("Email", "ada@example.com")
    await keys.use("button", "Create customer")
    await expect(page.get_by_role("button", name="Change", exact=True)).to_be_focused()
    await keys.type("Description", "Work")
    await keys.type("Unit amount", "46.20")
    await keys.use("button", "Create draft")
    await keys.arrive("Draft invoice")

    # Finalize: the button goes, and the focus does not go with it.
    await keys.use("button", "Finalize")
    await expect(page.get_by_label("Payment link URL")).to_be_visible()
    await expect(page.locator("main#page")).to_be_focused()

    # Copy the link.
    await keys.use("button", "Copy")
    await expect(page.get_by_role("button", name="Copied", exact=True)).to_be_focused()
    link = await page.get_by_label("Payment link URL").input_value()
    assert await page.evaluate("navigator.clipboard.readText()") == link

    # Void it: Escape gives the focus back, and what was voided has no such button any more.
    await keys.use("button", "Void", by="Shift+Tab")
    await expect(page.get_by_role("alertdialog")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("alertdialog")).to_have_count(0)
    await expect(page.get_by_role("button", name="Void", exact=True)).to_be_focused()
    await page.keyboard.press("Enter")
    await keys.type("Note", "Sent by mistake.")
    dialog = page.get_by_role("alertdialog")
    await keys.reach(dialog.get_by_role("button", name="Void", exact=True))
    await page.keyboard.press("Enter")
    await expect(person.status("Void")).to_be_visible()
    await expect(page.locator("main#page")).to_be_focused()


async def test_a_list_s_row_a_menu_and_its_dialog_are_used_by_keys(person: Person) -> None:
    page, keys = person.page, Keys(person.page)
    await person.has_connected()
    await person.has_drafted()
    await person.go("Customers")

    await keys.go("Invoices")
    await keys.reach(page.locator(".row-link").first)
    await page.keyboard.press("Enter")
    await keys.arrive("Draft invoice")

    await keys.go("Integrations")
    await keys.use("button", "More actions")
    await page.keyboard.press("ArrowDown")
    await expect(page.get_by_role("menuitem").nth(1)).to_be_focused()
    await page.keyboard.press("Escape")
    button = page.get_by_role("button", name="More actions")
    await expect(button).to_be_focused()

    # A dialog that a menu opened gives the focus back to the menu's button.
    await page.keyboard.press("Enter")
    await page.get_by_role("menuitem", name="Disconnect").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alertdialog")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("alertdialog")).to_have_count(0)
    await expect(button).to_be_focused()

    # Who signs out may type a key at once.
    await keys.use("button", "Sign out", by="Shift+Tab")
    await expect(page.get_by_label("API key")).to_be_focused()


async def test_a_customer_is_found_by_typing_and_arrows(person: Person) -> None:
    page, keys = person.page, Keys(person.page)
    await person.has_drafted(customer="Ada Lovelace")
    await person.go("Invoices")
    await person.press("New invoice")
    await expect(page.get_by_role("combobox", name="Customer")).to_be_visible()

    await keys.reach(page.get_by_role("combobox", name="Customer"))
    await page.keyboard.type("Ada")
    await expect(page.get_by_role("option", name="Ada Lovelace")).to_be_visible()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")

    await expect(page.get_by_role("button", name="Change", exact=True)).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("combobox", name="Customer")).to_be_focused()
