"""Serializes scalars and enums: fast if a value has the expected type, otherwise as graphql-core does."""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from enum import Enum
from typing import Any, Final

from graphql import GraphQLEnumType, GraphQLLeafType, Undefined

Serialize = Callable[[Any], Any]
_INT_END: Final = 2**31


def serializer(type_: GraphQLLeafType) -> Serialize:
    """Return the function that serializes the values of a type, except None."""
    slowly = _checked(type_)
    if isinstance(type_, GraphQLEnumType):
        return _enum(type_, slowly)
    plain = _PLAIN.get(type_.name)
    return slowly if plain is None else plain(slowly)


def printed_as(type_: GraphQLLeafType) -> type | None:
    """Return the Python type whose values need no serialization, if there is one."""
    return str if type_.name in _TEXTS else None


def names_of(type_: GraphQLLeafType) -> tuple[type, Mapping[Any, str]] | None:
    """Return an enum's class and its members' names; None for other types."""
    if not isinstance(type_, GraphQLEnumType):
        return None
    members = [each.value for each in type_.values.values()]
    of_enum = type(members[0])
    if not issubclass(of_enum, Enum) or any(type(member) is not of_enum for member in members):
        return None
    return of_enum, {member: type_.coerce_output_value(member) for member in members}


def _checked(type_: GraphQLLeafType) -> Serialize:
    coerce = type_.coerce_output_value

    def serialize(value: Any) -> Any:
        printed = coerce(value)
        if printed is None or printed is Undefined:
            raise TypeError(f"{type_} has no form for a value")
        return printed

    return serialize


def _enum(type_: GraphQLEnumType, slowly: Serialize) -> Serialize:
    """Serialize members by a mapping; check their type, since a text may equal a member."""
    known: dict[tuple[type, Any], Any] = {}

    def serialize(value: Any) -> Any:
        key = type(value), value
        name = known.get(key)
        if name is None:
            name = slowly(value)
            if len(known) < len(type_.values):
                known[key] = name
        return name

    return serialize


def _text(slowly: Serialize) -> Serialize:
    return lambda value: value if type(value) is str else slowly(value)


def _int(slowly: Serialize) -> Serialize:
    return lambda value: value if type(value) is int and -_INT_END <= value < _INT_END else slowly(value)


def _boolean(slowly: Serialize) -> Serialize:
    return lambda value: value if value is True or value is False else slowly(value)


def _date(slowly: Serialize) -> Serialize:
    return lambda value: value.isoformat() if type(value) is date else slowly(value)


def _instant(slowly: Serialize) -> Serialize:
    def serialize(value: Any) -> Any:
        if type(value) is datetime and value.tzinfo is UTC:
            return f"{value.isoformat()[:-6]}Z"  # without its +00:00
        return slowly(value)

    return serialize


_TEXTS: Final = frozenset({"String", "ID"})
_PLAIN: Final[dict[str, Callable[[Serialize], Serialize]]] = {
    "String": _text,
    "ID": _text,
    "Int": _int,
    "Boolean": _boolean,
    "Date": _date,
    "DateTime": _instant,
}
