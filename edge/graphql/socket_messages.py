"""Checks the messages that a client sends over a socket."""

from typing import Final

from execution.limits import Limit

ID_CHARACTERS: Final = Limit("idCharacters", 256, "The id of an operation has at most {maximum} characters.")
_PAYLOADS: Final = {"query": str, "operationName": str, "variables": dict, "extensions": dict}
_IN_WORDS: Final = {str: "a text", dict: "an object"}


def invalid_because(message: object) -> str | None:
    """Return why a message is invalid, or None if it is valid."""
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        return "A message is a JSON object with a type"
    type_, payload = message["type"], message.get("payload")
    if type_ not in {"connection_init", "ping", "pong", "subscribe", "complete"}:
        return f"Unknown message type: {type_}"
    if type_ in {"subscribe", "complete"} and (mistake := _wrong_id(message.get("id"))) is not None:
        return mistake
    if type_ == "subscribe":
        return _wrong_request(payload)
    if type_ != "complete" and not isinstance(payload, dict | None):
        return f"The payload of {type_} is an object, or there is none"
    return None


def _wrong_id(id_: object) -> str | None:
    if not isinstance(id_, str) or not id_:
        return "The id of an operation is a text, and not empty"
    return ID_CHARACTERS.message if len(id_) > ID_CHARACTERS.maximum else None


def _wrong_request(payload: object) -> str | None:
    if not isinstance(payload, dict):
        return "The payload of subscribe is an object with a query"
    for name, type_ in _PAYLOADS.items():
        if not isinstance(payload.get(name), type_ | None):
            return f"In the payload of subscribe, {name} is {_IN_WORDS[type_]}"
    return None
