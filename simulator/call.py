"""One authenticated call of the API, and the pages of what it lists."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from simulator.account import Account
from simulator.errors import Payload, StripeError, no_such
from simulator.form import Params
from simulator.parameters import Reader, fields, integer, text

LISTING: Final[Mapping[str, Reader]] = {
    "ending_before": text(),
    "limit": integer(least=1, most=100),
    "starting_after": text(),
}
"""The parameters of every list."""

DEFAULT_LIMIT: Final = 10


@dataclass(frozen=True)
class Call:
    """An authenticated call, as an operation receives it."""

    account: Account
    path: str
    object_id: str
    """The id in the path; empty when it has none."""
    params: Params
    base_url: str

    def takes_nothing(self) -> None:
        """Refuse any parameter."""
        fields({})(self.params, "")


def page(
    rows: Iterable[Payload],
    params: Params,
    url: str,
    noun: str,
    wanted: Callable[[Payload], bool] = lambda _: True,
) -> Payload:
    """Cut a page out of a list; a cursor may be a row that the filter leaves out.

    Raises:
        StripeError: A cursor is not of this list.
    """
    if "starting_after" in params and "ending_before" in params:
        raise StripeError("You can't pass both starting_after and ending_before.", param="ending_before")
    rows = list(rows)
    limit = params.get("limit", DEFAULT_LIMIT)
    if "ending_before" in params:
        end = _position(rows, params["ending_before"], "ending_before", noun)
        before = [row for row in rows[:end] if wanted(row)]
        return _list(before[-limit:], url, has_more=len(before) > limit)
    start = 0
    if "starting_after" in params:
        start = _position(rows, params["starting_after"], "starting_after", noun) + 1
    after = [row for row in rows[start:] if wanted(row)]
    return _list(after[:limit], url, has_more=len(after) > limit)


def _position(rows: list[Payload], object_id: str, param: str, noun: str) -> int:
    for position, row in enumerate(rows):
        if row["id"] == object_id:
            return position
    raise no_such(noun, object_id, param, status=400)


def _list(rows: list[Payload], url: str, *, has_more: bool) -> Payload:
    return {"object": "list", "data": rows, "has_more": has_more, "url": url}
