"""The README's pictures, made by `scripts/pictures`: the overview of a demo and an invoice that was just paid."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any, Final, Literal

import httpx
from playwright.async_api import async_playwright, expect

from tests.dashboard.conftest import CHROMIUM
from tests.world.app import Running
from tests.world.local import LOCAL

FOLDER: Final = Path(__file__).resolve().parents[2] / "docs" / "pictures"
SIZE: Final[Any] = {"width": 1280, "height": 800}
SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")


async def take(sign_in_url: str) -> None:
    """Each picture in light and in dark."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for scheme in SCHEMES:
            page = await (await browser.new_context(viewport=SIZE, color_scheme=scheme)).new_page()
            await page.goto(sign_in_url)
            await expect(page.get_by_text("Recent activity")).to_be_visible()
            await page.screenshot(path=FOLDER / f"overview-{scheme}.png")
            await page.get_by_role("link", name="Invoices", exact=True).click()
            await page.get_by_label("Status").select_option("OPEN")
            await page.locator(".row-link").first.click()
            link = await page.get_by_label("Payment link URL").input_value()
            async with httpx.AsyncClient(**LOCAL) as http:
                (await http.post(link, data={"outcome": "paid"})).raise_for_status()
            await expect(page.locator(".status", has_text="Paid").first).to_be_visible()
            await page.screenshot(path=FOLDER / f"invoice-{scheme}.png")
        await browser.close()


def main() -> None:
    """Start a demo, take the pictures, and end it."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        running = Running(["serve", "--demo"], {}, Path(folder))
        try:
            asyncio.run(take(running.announced["signInUrl"]))
        finally:
            running.forget()


if __name__ == "__main__":
    main()
