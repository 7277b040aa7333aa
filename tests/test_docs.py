"""What the documentation promises to explain."""

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest

import errors
import execution.errors
from models.reason import Reason
from models.settlement import NotAllocated

DOCS: Final = Path(__file__).resolve().parent.parent / "docs"
ENTRY: Final = re.compile(
    r"^\*\*`([A-Z_]+)`\*\* You see: (.+?)\nWhy: (.+?)\nDo: (.+?)(?=\n\n|\Z)", re.DOTALL | re.MULTILINE
)


REFUSALS: Final = {refusal.__name__: refusal.code for refusal in errors.RefusalError.__subclasses__()}
NOT_THE_PRODUCT: Final = {"benchmarks", "dashboard", "simulator", "tests"}
CODE_FORM: Final = re.compile(r"[A-Z]+(_[A-Z]+)+")


def _trees(*packages: str) -> Iterator[ast.Module]:
    for package in packages:
        yield from (ast.parse(path.read_text()) for path in sorted((DOCS.parent / package).rglob("*.py")))


def _codes_of_refusals() -> set[str]:
    """The codes that are written where the product makes a refusal; the class's own where none is given."""
    folders = {path.name for path in DOCS.parent.iterdir() if path.is_dir()} - NOT_THE_PRODUCT
    folders = {name for name in folders if not name.startswith(".")}
    found = set()
    for tree in _trees(*sorted(folders)):
        for call in ast.walk(tree):
            name = getattr(call.func, "id", None) if isinstance(call, ast.Call) else None
            if isinstance(call, ast.Call) and name in REFUSALS:
                code = next((each.value for each in call.keywords if each.arg == "code"), ast.Constant(REFUSALS[name]))
                found |= {str(code.value)} if isinstance(code, ast.Constant) else set()
    return found


def test_every_code_of_a_diagnosis_or_refusal_is_explained_once_and_no_other() -> None:
    """What you see, why, and what to do."""
    explained = [code for code, *_ in ENTRY.findall((DOCS / "operate" / "troubleshooting.md").read_text())]

    assert sorted(explained) == sorted({*Reason, *NotAllocated, *_codes_of_refusals()})


def test_every_code_of_graphql_errors_is_explained() -> None:
    shown = [
        error.code
        for error in vars(execution.errors).values()
        if isinstance(error, type) and issubclass(error, errors.FluxrateError) and error is not errors.RefusalError
    ]
    written = [
        constant.value
        for tree in _trees("execution", "edge/graphql")
        for constant in ast.walk(tree)
        if isinstance(constant, ast.Constant) and CODE_FORM.fullmatch(str(constant.value))
    ]

    explained = set(re.findall(r"`([A-Z_]+)`", (DOCS / "use" / "reading.md").read_text()))

    assert {"UNAUTHENTICATED", "LIMIT_EXCEEDED"} <= {*shown, *written} <= explained


@pytest.mark.parametrize(
    ("heading", "answered_by"),
    [
        ("Webhook signature verification failed", {"SIGNATURES_FAILING", "SIGNATURE_MISMATCH", "CLOCK_SKEW"}),
        ("Invoice not marked as paid after payment", {"NO_METADATA", "ENDPOINT_EVENTS_MISSING", "INVOICE_NOT_FOUND"}),
        ("Webhook events not being received", {"ENDPOINT_MISSING", "ENDPOINT_OTHER_URL", "EVENTS_NOT_ARRIVING"}),
    ],
)
def test_the_three_questions_that_users_ask_are_answered_by_codes(heading: str, answered_by: set[str]) -> None:
    text = (DOCS / "operate" / "troubleshooting.md").read_text()

    chapter = text.partition(f"## {heading}\n")[2].partition("\n## ")[0]

    assert {code for code, *_ in ENTRY.findall(chapter)} >= answered_by


# --- Links -----------------------------------------------------------------------------------------------------

PAGES: Final = (DOCS.parent / "README.md", DOCS.parent / "CHANGELOG.md", *sorted(DOCS.rglob("*.md")))
LINK: Final = re.compile(r"\]\((?![a-z]+:)([^)#\s]*)(?:#([^)\s]*))?\)")


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS.parent)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for path, anchor in LINK.findall(page.read_text()):
        target = page.parent / path if path else page
        assert target.exists(), path
        assert not anchor or anchor in _anchors(target), f"{path}#{anchor}"


def test_the_index_names_every_document() -> None:
    named = {(DOCS / path).resolve() for path, _ in LINK.findall((DOCS / "README.md").read_text())}

    assert named >= set(DOCS.rglob("*.md")) - {DOCS / "README.md"}


# --- Lines -----------------------------------------------------------------------------------------------------

WRITTEN: Final = [page for page in PAGES if page.name not in {"CHANGELOG.md", "comparison.md", "performance.md"}]
"""What people write; the benchmarks write the others."""

MAX_CELL: Final = 200
CODE: Final = re.compile(r"^ *```.*?^ *```", re.DOTALL | re.MULTILINE)
MASKED: Final = re.compile(r"`[^`]*`|\]\([^)]*\)")
SENTENCE_ENDS: Final = re.compile(r"(?<!e\.g)(?<!i\.e)[.!?][*\")”’]*\s+(?=[*(\"“\[]*[A-Z0-9])")
LINE_ENDS: Final = re.compile(r"[.!?:…>][*\")”’>]*$")


def _prose(page: Path) -> list[str]:
    """The lines of a page without its code."""
    return [MASKED.sub("Code", line).strip() for line in CODE.sub("", page.read_text()).splitlines()]


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(DOCS.parent)))
def test_a_sentence_has_a_line_of_its_own(page: Path) -> None:
    """So that a change shows the sentence that it changes."""
    lines = [line for line in _prose(page) if not line.startswith(("|", "#", "<picture"))]
    several = [line for line in lines if SENTENCE_ENDS.search(re.sub(r"^\d+\. ", "", line))]
    broken = [
        line
        for line, after in pairwise(lines)
        if line and after and not LINE_ENDS.search(line) and not re.match(r"- |\d+\. ", after)
    ]

    assert several + broken == []


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(DOCS.parent)))
def test_a_cell_of_a_table_is_no_longer_than_a_screen_is_wide(page: Path) -> None:
    rows = [line for line in CODE.sub("", page.read_text()).splitlines() if line.startswith("|")]

    assert [cell for row in rows for cell in re.split(r"(?<!\\)\|", row) if len(cell.strip()) > MAX_CELL] == []
