"""Lists in the order that somebody chooses: by a click, a key or an address, and still so as things change."""

from typing import Final

from playwright.async_api import Locator, expect

from tests.dashboard.conftest import NewPerson, Person

PHONE: Final = {"width": 360, "height": 740}


def rows_of(person: Person, table: str = "Invoices") -> Locator:
    return person.page.get_by_role("table", name=table).locator(".list-body [role=row]")


async def test_a_list_is_ordered_by_its_headings_and_stays_so(person: Person) -> None:
    page = person.page
    for name, price in (("Bob", "30"), ("ada", "100"), ("Zoe", "2")):
        await person.has_drafted(price, name)
    await person.go("Invoices")
    await expect(rows_of(person)).to_contain_text(["Zoe", "ada", "Bob"])
    heading = page.get_by_role("columnheader", name="Total")
    await expect(heading).to_have_attribute("aria-sort", "none")

    await heading.get_by_role("button", name="Total").click()

    await expect(rows_of(person)).to_contain_text(["ada", "Bob", "Zoe"])
    await expect(heading).to_have_attribute("aria-sort", "descending")
    await expect(page.get_by_role("columnheader", name="Created")).to_have_attribute("aria-sort", "none")
    assert page.url.endswith("/invoices?order=-TOTAL")

    await page.get_by_role("button", name="Customer").focus()
    await page.keyboard.press("Enter")
    await expect(rows_of(person)).to_contain_text(["ada", "Bob", "Zoe"])
    await page.keyboard.press("Enter")
    await expect(rows_of(person)).to_contain_text(["Zoe", "Bob", "ada"])

    await page.reload()
    await expect(page.get_by_role("columnheader", name="Customer")).to_have_attribute("aria-sort", "descending")
    await expect(rows_of(person)).to_contain_text(["Zoe", "Bob", "ada"])

    await person.has_drafted("7", "Cleo")
    await expect(rows_of(person)).to_contain_text(["Zoe", "Cleo", "Bob", "ada"])


async def test_what_a_list_comes_to_stands_above_it_and_moves_with_it(person: Person) -> None:
    await person.has_drafted("30.50", "Ada")
    await person.go("Invoices")
    totals = person.page.get_by_role("region", name="Totals")
    await expect(totals).to_contain_text("1 invoice")
    await expect(totals).to_contain_text("30.50")

    await person.has_drafted("12", "Bob")

    await expect(totals).to_contain_text("2 invoices")
    await expect(totals).to_contain_text("42.50")
    await person.page.get_by_label("Status").select_option("PAID")
    await expect(totals).to_have_count(0)


async def test_a_phone_has_a_choice_instead_of_headings(new_person: NewPerson) -> None:
    somebody = await new_person(viewport=PHONE, has_touch=True)
    for name in ("Bob", "Zoe", "ada"):
        await somebody.has_drafted("5", name)
    await somebody.sign_in()
    await somebody.page.goto(f"{somebody.app.url}/customers")
    await expect(rows_of(somebody, "Customers")).to_contain_text(["ada", "Zoe", "Bob"])

    await somebody.page.get_by_label("Order").select_option("Name, ascending")

    await expect(rows_of(somebody, "Customers")).to_contain_text(["ada", "Bob", "Zoe"])
    assert somebody.page.url.endswith("/customers?order=NAME")
    assert not await somebody.page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
