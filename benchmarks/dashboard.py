"""Measures the dashboard in Chromium: the weight of a page, when it is usable, when an event shows, how it scrolls.

python -m benchmarks.dashboard [--events 100000] [--posts 200]

Everything runs on this machine: SQLite, one worker, Debian's Chromium.
"""

import argparse
import asyncio
import json
import shutil
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import httpx
from playwright.async_api import Browser, Page, async_playwright

from benchmarks.filling import fill
from database.access import Database
from tests.world.app import RunningApp, running_app
from tests.world.seed import WEBHOOK_SECRET, add_integration
from tests.world.stripe_payloads import body, payment_intent_succeeded, signed_headers

PAUSE_S: Final = 0.4
"""Longer than a page waits between two refetches."""

SCROLL_S: Final = 20.0

SHOWN: Final = """
() => {
  window.shownAt = {};
  const look = () => {
    for (const link of document.querySelectorAll(".row-link")) window.shownAt[link.getAttribute("href")] ??= Date.now();
  };
  look();
  new MutationObserver(look).observe(document.body, { subtree: true, childList: true });
}
"""
"""Records when each row first appeared."""

USABLE: Final = """
new MutationObserver(() => {
  if (document.querySelector("h1") && document.querySelector(".live-live")) window.usableAt ??= performance.now();
}).observe(document, { subtree: true, childList: true, attributes: true });
"""
"""Records when the page has its heading and is live."""

FRAMES: Final = """
async (seconds) => {
  const frames = [];
  let last = performance.now();
  const end = last + seconds * 1000;
  while (last < end) {
    window.scrollBy(0, 600);
    const now = await new Promise(requestAnimationFrame);
    frames.push(now - last);
    last = now;
  }
  return { frames, height: document.documentElement.scrollHeight, rows: document.querySelectorAll(".list-row").length };
}
"""
"""Scrolls without a pause, and returns how long each frame took."""


async def weigh(page: Page, url: str) -> dict[str, float]:
    """Open the overview for the first time: measure its bytes, its first paint, and when it is usable."""
    session = await page.context.new_cdp_session(page)
    await session.send("Network.enable")
    await session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    weights: list[int] = []
    session.on("Network.loadingFinished", lambda event: weights.append(int(event["encodedDataLength"])))
    await page.goto(url)
    usable = await (await page.wait_for_function("() => window.usableAt")).json_value()
    paint = await page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    return {"kB": sum(weights) / 1000, "first paint ms": paint, "usable ms": usable}


async def latencies(page: Page, app: RunningApp, path: str, workspace_id: str, posts: int) -> list[float]:
    """Measure the milliseconds from the beginning of Stripe's post to its row on the page."""
    await page.goto(f"{app.url}/webhook-events")
    await page.locator(".row-link").first.wait_for()
    await page.evaluate(SHOWN)
    seen = set((await page.evaluate("window.shownAt")).keys())
    found = []
    async with httpx.AsyncClient(trust_env=False) as http:
        for _ in range(posts):
            raw = body(payment_intent_succeeded(invoice_id="inv_unknown", workspace_id=workspace_id))
            began = time.time()
            headers = signed_headers(raw, WEBHOOK_SECRET)
            (await http.post(f"{app.url}{path}", content=raw, headers=headers)).raise_for_status()
            await page.wait_for_function("(known) => Object.keys(window.shownAt).length > known", arg=len(seen))
            await asyncio.sleep(PAUSE_S)
            shown: dict[str, int] = await page.evaluate("window.shownAt")
            (new,) = shown.keys() - seen
            seen.add(new)
            found.append(shown[new] - began * 1000)
    return found


async def scroll(page: Page, url: str) -> dict[str, Any]:
    """Scroll through the webhook events, newest first."""
    await page.goto(f"{url}/webhook-events")
    await page.locator(".row-link").first.wait_for()
    found: dict[str, Any] = await page.evaluate(FRAMES, SCROLL_S)
    return found


async def tasks_while_scrolling(browser: Browser, page: Page, url: str) -> list[float]:
    """Measure the milliseconds of processor time of each task on the page's main thread, while it scrolls again.

    A frame can take longer than its task: the server and Chromium's software rendering use the same processors.
    """
    await browser.start_tracing(page=page, categories=["toplevel", "devtools.timeline"])
    await scroll(page, url)
    events = [event for event in json.loads(await browser.stop_tracing())["traceEvents"] if "tid" in event]
    threads = Counter((event["pid"], event["tid"]) for event in events if event["name"] == "FireAnimationFrame")
    (of_page, _), *_ = threads.most_common(1)
    return [
        event["tdur"] / 1000
        for event in events
        if (event["pid"], event["tid"]) == of_page and event["name"].endswith("RunTask") and "tdur" in event
    ]


def percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


async def measure(app: RunningApp, key: str, path: str, workspace_id: str, posts: int) -> dict[str, Any]:
    """Measure everything in one browser."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = await (await browser.new_context(viewport={"width": 1280, "height": 860})).new_page()
        await page.add_init_script(USABLE)
        await page.goto(f"{app.url}/#key={key}")
        await page.get_by_text("Live", exact=True).wait_for()
        visits = [await weigh(page, app.url) for _ in range(5)]
        shown = await latencies(page, app, path, workspace_id, posts)
        scrolled = await scroll(page, app.url)
        tasks = await tasks_while_scrolling(browser, page, app.url)
        await browser.close()
    frames = scrolled["frames"]
    return {
        **{name: round(statistics.median(visit[name] for visit in visits), 1) for name in visits[0]},
        "event shown ms, median": round(statistics.median(shown), 1),
        "event shown ms, p95": round(percentile(shown, 0.95), 1),
        "frames": len(frames),
        "frame ms, p95": round(percentile(frames, 0.95), 1),
        "frame ms, longest": round(max(frames), 1),
        "frames over 50 ms": sum(frame > 50 for frame in frames),
        "task CPU ms, longest": round(max(tasks), 1),
        "scrolled px": scrolled["height"],
        "rows on the page": scrolled["rows"],
    }


async def filled(database_url: str, workspace_id: str, events: int) -> str:
    """Fill a workspace; return the path of its webhook."""
    async with Database(database_url, pool_size=1):
        integration = await add_integration(workspace_id)
        await fill(workspace_id, integration.id, events, on_progress=_print_progress)
        return integration.webhook_path


def _print_progress(done: int) -> None:
    print(f"  {done:,}", end="\r")


def main() -> None:
    """Measure, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=100_000, help="Webhook events to scroll through.")
    parser.add_argument("--posts", type=int, default=200, help="Events that are posted one by one.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        database_url = f"sqlite://{Path(folder, 'fluxrate.sqlite3')}"
        env = {"FLUXRATE_RATE_LIMIT_PER_ADDRESS": "off", "FLUXRATE_RATE_LIMIT_PER_KEY": "off"}
        with running_app(database_url, env=env) as app:
            made = app.cli("workspace", "create", "Acme", "--mode", "test")
            workspace_id = made["workspace"]["id"]
            print(f"Filling {given.events:,} webhook events ...")
            path = asyncio.run(filled(database_url, workspace_id, given.events))
            print(json.dumps(asyncio.run(measure(app, made["apiKey"], path, workspace_id, given.posts)), indent=2))


if __name__ == "__main__":
    main()
