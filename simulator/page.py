"""The simulator's pages: plain HTML without scripts, each marked as a simulation."""

import base64
import hashlib
from html import escape
from typing import Final

from starlette.responses import HTMLResponse, Response

STYLE: Final = """
:root { color-scheme: light dark; --line: #767b85; --accent: #2f4bc7; --on-accent: #fff; --note: #fff3cd; --on-note: #4d3a00 }
@media (prefers-color-scheme: dark) {
  :root { --line: #8f95a1; --accent: #a9b8ff; --on-accent: #10152b; --note: #423506; --on-note: #ffeeb5 }
}
* { box-sizing: border-box }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 36rem; padding: 1rem; overflow-wrap: anywhere }
.note { background: var(--note); color: var(--on-note); border-radius: .5rem; padding: .5rem .75rem }
.said { border: 1px solid var(--line); border-left: .375rem solid var(--accent); border-radius: .5rem; padding: .5rem .75rem }
.actions { list-style: none; padding: 0 }
.actions li { display: flex; flex-wrap: wrap; align-items: center; gap: .25rem .75rem; margin-block: .5rem }
a { color: var(--accent) }
button { font: inherit; min-height: 2.75rem; min-width: 9rem; padding: .25rem 1rem; border-radius: .5rem; cursor: pointer;
  border: 1px solid var(--line); background: Canvas; color: CanvasText }
button[value="pay"] { background: var(--accent); color: var(--on-accent); border-color: var(--accent) }
input[type="number"] { font: inherit; width: 6rem; min-height: 2.75rem; padding: .25rem .5rem; border-radius: .5rem;
  border: 1px solid var(--line); background: Canvas; color: CanvasText }
input[type="checkbox"] { width: 1.25rem; height: 1.25rem; accent-color: var(--accent) }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
h1 { line-height: 1.2 } h2 { font-size: 1.1rem; margin-bottom: 0 }
"""  # noqa: E501 - a line of CSS each

_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'none'"
    ),
    "Referrer-Policy": "same-origin",  # with no-referrer browsers send forms with the Origin "null"
    "X-Content-Type-Options": "nosniff",
}

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{heading} · simulation</title>
<style>{style}</style>
</head>
<body>
<main>
<p class="note"><strong>Simulation.</strong> This page stands in for Stripe's: no money moves.</p>
<h1>{heading}</h1>
{content}
</main>
</body>
</html>
"""


def html_page(heading: str, content: str, status: int = 200) -> Response:
    """Write a page: its heading is text, its content HTML."""
    return HTMLResponse(_PAGE.format(heading=escape(heading), style=STYLE, content=content), status, HEADERS)


def status_line(sentence: str) -> str:
    """Write what was done, or why it wasn't."""
    return f'<p class="said" role="status">{escape(sentence)}</p>'
