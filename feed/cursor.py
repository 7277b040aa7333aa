"""Encodes and decodes cursors: places in a workspace's log."""

from errors import InvalidCursorError


def encode_cursor(workspace_id: str, number: int) -> str:
    """Make the cursor of a line in a workspace's log, opaque to clients."""
    return f"{workspace_id.removeprefix('ws_')}.{number}"


def decode_cursor(cursor: str, workspace_id: str, newest: int) -> int:
    """Return the number of the line that a cursor stands for.

    Raises:
        InvalidCursorError: This workspace never gave it out.
    """
    owner, _, number = cursor.partition(".")
    advice = "use the workspace's eventCursor, or an event's cursor"
    if not (number.isascii() and number.isdecimal() and len(number) < 19 and str(int(number)) == number):
        raise InvalidCursorError(f"This is not an event cursor: {advice}.")
    if f"ws_{owner}" != workspace_id:
        raise InvalidCursorError(f"This cursor is not one of this workspace's: {advice}.")
    if int(number) > newest:
        raise InvalidCursorError(f"This cursor is ahead of this workspace's log: {advice}.")
    return int(number)
