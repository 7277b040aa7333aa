"""Everybody can use it: by keyboard and screen reader, in the dark, and on a phone."""

from pathlib import Path
from typing import Any, Final, Literal

import pytest
from playwright.async_api import ViewportSize, expect

from tests.dashboard.conftest import WINDOW, NewPerson, Person
from tests.world.long import is_long

AXE: Final = Path(__file__).resolve().parents[2] / "dashboard" / "node_modules" / "axe-core" / "axe.min.js"
PAGES: Final = ["Overview", "Invoices", "Payments", "Customers", "Needs attention", "Integrations", "Webhook Events"]
PHONE: Final[ViewportSize] = {"width": 360, "height": 740}


RULES: Final[dict[Literal["light", "dark"], list[str] | None]] = {"light": None, "dark": ["color-contrast"]}
"""What axe looks for in each scheme: all, and in the dark what depends on colours."""

LOOK: Final = """async (only) => {
  const { violations } = await axe.run({
    resultTypes: ["violations"], // all that passed would be described, too, in megabytes
    selectors: false,
    ...(only === null ? { rules: { region: { enabled: true } } } : { runOnly: { type: "rule", values: only } }),
  });
  return violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html.slice(0, 200))]);
}"""


async def found_by_axe(person: Person) -> list[Any]:
    """What axe holds against the page as it is, in light and in dark."""
    page, found = person.page, []
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE.read_text())
    for scheme, rules in RULES.items():
        await page.emulate_media(color_scheme=scheme)
        assert await page.evaluate(f"matchMedia('(prefers-color-scheme: {scheme})').matches")
        found += [(scheme, *each) for each in await page.evaluate(LOOK, rules)]
    return found


async def is_too_wide(person: Person) -> bool:
    """Whether the page has to be scrolled sideways."""
    return bool(await person.page.evaluate("document.documentElement.scrollWidth > window.innerWidth"))


async def found_at(person: Person) -> list[Any]:
    """What axe holds against the page, and whether it is too wide for the phone it is on; in a large window if long."""
    found = [("phone", "too wide")] if await is_too_wide(person) else []
    if not is_long():
        return found + await found_by_axe(person)
    await person.page.set_viewport_size(WINDOW["viewport"])
    found += await found_by_axe(person)
    await person.page.set_viewport_size(PHONE)
    return found


async def visit_all(person: Person, look: Any) -> list[Any]:
    """Look at every kind of page, with something on each."""
    seen = [await look()]
    await person.connect()
    seen.append(await look())
    await person.draft()
    link = await person.finalize()
    seen.append(await look())
    await person.pay(link)
    await expect(person.status("Paid")).to_be_visible()
    seen.append(await look())
    for name in [*PAGES, "Settings"]:
        await person.go(name)
        await expect(person.page.get_by_text("Loading …", exact=True)).to_have_count(0)
        seen.append(await look())
    for list_ in ["Webhook Events", "Payments", "Customers"]:
        await person.go(list_)
        await person.page.locator(".row-link").first.click()
        await expect(person.page.get_by_role("heading", level=1, name=list_, exact=True)).to_have_count(0)
        await expect(person.page.get_by_text("Loading …", exact=True)).to_have_count(0)
        seen.append(await look())
    await person.go("Invoices")
    await person.press("New invoice")
    seen.append(await look())
    return seen


@pytest.mark.timeout(300)  # it looks at every page, twice
@pytest.mark.longer
async def test_every_page_fits_a_phone_and_axe_finds_nothing_on_it(new_person: NewPerson) -> None:
    """All is done on the phone; with --long axe looks at the same pages in a large window."""
    somebody = await new_person(viewport=PHONE, has_touch=True)
    await somebody.page.goto(somebody.app.url)
    assert await found_at(somebody) == []
    await somebody.sign_in()
    found = await visit_all(somebody, lambda: found_at(somebody))
    assert [each for each in found if each] == []


@pytest.mark.long
async def test_axe_finds_what_only_the_dark_hides(new_person: NewPerson) -> None:
    somebody = await new_person()
    await somebody.page.goto(somebody.app.url)
    await expect(somebody.page.get_by_label("API key")).to_be_visible()

    await somebody.page.evaluate("document.querySelector('h1').style.color = 'light-dark(#000, #111)'")

    assert [each[:2] for each in await found_by_axe(somebody)] == [("dark", "color-contrast")]


async def test_a_message_below_one_field_of_a_line_moves_no_other(person: Person) -> None:
    page = person.page
    await person.go("Invoices")
    await person.press("New invoice")
    await person.press("Create draft")
    await expect(page.get_by_text("Please fill out this field.")).to_have_count(2)

    places = [await page.get_by_label(label, exact=True).bounding_box() for label in ("Description", "Quantity")]

    assert len({place["y"] for place in places if place}) == 1
