"""Random queries of the schema: fragments, aliases, directives and variables, with ids that are right and wrong."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    Undefined,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
)
from hypothesis import strategies as st

DEEPEST: Final = 6
_ODD_ONE_OF: Final = 40
"""Of so many values one is null, absent or nothing that could be right: a document has many."""

_ALWAYS: Final = frozenset({"until"})
"""Given always: without it an answer depends on the clock."""

Pool = Mapping[str, Sequence[Any]]
"""What may be given for a scalar or an argument, by its name."""


@dataclass(frozen=True)
class Asked:
    """A document and what it is given."""

    text: str
    variables: dict[str, Any]


@dataclass
class _Writer:
    """Writes one document."""

    schema: GraphQLSchema
    pool: Pool
    odd: Pool
    draw: Callable[[st.SearchStrategy[Any]], Any]
    fragments: list[str] = field(default_factory=list)
    named: dict[str, list[str]] = field(default_factory=dict)
    declared: list[str] = field(default_factory=list)
    variables: dict[str, Any] = field(default_factory=dict)
    aliases: int = 0

    def asked(self, operation: str, selected: str) -> Asked:
        """The document, with what its fragments and variables need."""
        declared = f"({', '.join(self.declared)})" if self.declared else ""
        return Asked("\n".join([f"{operation} {declared} {selected}", *self.fragments]), self.variables)

    def selection(self, type_: GraphQLNamedType, depth: int, *, apart: bool = False) -> str:
        """What is asked of a type; `apart`: with aliases of its own, so that nothing contradicts another fragment."""
        most = 3 if depth == 0 else 6
        parts = [self._part(type_, depth, apart=apart) for _ in range(self.draw(st.integers(1, most)))]
        return f"{{ {' '.join(parts)} }}"

    def _part(self, type_: GraphQLNamedType, depth: int, *, apart: bool) -> str:
        kind = self.draw(st.sampled_from(["field"] * 8 + ["inline", "spread", "typename"]))
        if is_abstract_type(type_) and kind == "field":
            kind = "inline"
        if kind == "typename":
            return f"__typename {self._directives()}"
        if kind == "inline":
            return self._inline(type_, depth, apart=apart)
        if kind == "spread" and not apart:
            return self._spread(type_, depth)
        if is_abstract_type(type_):
            return "id" if isinstance(type_, GraphQLInterfaceType) else "__typename"
        assert isinstance(type_, GraphQLObjectType)
        return self._field(type_, depth, apart=apart)

    def _inline(self, type_: GraphQLNamedType, depth: int, *, apart: bool) -> str:
        of: GraphQLNamedType = type_
        if is_abstract_type(type_):
            of, apart = self.draw(st.sampled_from(self.schema.get_possible_types(type_))), True
        on = f"on {of.name}" if of is not type_ or self.draw(st.booleans()) else ""
        return f"... {on} {self._directives()} {self.selection(of, depth, apart=apart)}"

    def _spread(self, type_: GraphQLNamedType, depth: int) -> str:
        known = self.named.setdefault(type_.name, [])
        if not known or self.draw(st.booleans()):
            selected = self.selection(type_, depth)
            name = f"F{len(self.fragments)}"
            self.fragments.append(f"fragment {name} on {type_.name} {selected}")
            known.append(name)
            return f"...{name} {self._directives()}"
        return f"...{self.draw(st.sampled_from(known))} {self._directives()}"

    def _field(self, type_: GraphQLObjectType, depth: int, *, apart: bool) -> str:
        fields = {
            name: each
            for name, each in type_.fields.items()
            if depth < DEEPEST or is_leaf_type(get_named_type(each.type))
        }
        if not fields:
            return "__typename"
        wide = [name for name, each in fields.items() if not is_leaf_type(get_named_type(each.type))]
        name = self.draw(st.sampled_from(wide if wide and self._is_one_of(2) else sorted(fields)))
        of = fields[name]
        arguments = self._arguments(of)
        alias = f"{self._alias()}: " if apart or arguments or self.draw(st.integers(0, 5)) == 0 else ""
        named = get_named_type(of.type)
        below = "" if is_leaf_type(named) else self.selection(named, depth + 1, apart=apart)
        return f"{alias}{name}{arguments} {self._directives()} {below}"

    def _alias(self) -> str:
        self.aliases += 1
        return f"a{self.aliases}"

    def _directives(self) -> str:
        if self.draw(st.integers(0, 7)):
            return ""
        name = self.draw(st.sampled_from(["skip", "include"]))
        return f"@{name}(if: {self._value(GraphQLNonNull(self.schema.type_map['Boolean']), 'if')})"  # type: ignore[arg-type]

    # --- Arguments ---------------------------------------------------------------------------------------------

    def _arguments(self, of: GraphQLField) -> str:
        given = [
            f"{name}: {self._value(each.type, name)}" for name, each in of.args.items() if self._is_given(name, each)
        ]
        return f"({', '.join(given)})" if given else ""

    def _is_given(self, name: str, of: GraphQLArgument | GraphQLInputField) -> bool:
        if name in _ALWAYS or (isinstance(of.type, GraphQLNonNull) and of.default_value is Undefined):
            return True
        return name == "first" or self._is_one_of(12)

    def _is_one_of(self, many: int) -> bool:
        return bool(self.draw(st.integers(1, many)) == many)

    def _value(self, type_: GraphQLInputType, name: str) -> str:
        """A literal, or a variable that holds it; now and then one that is absent."""
        value = self._of(type_, name)
        if self.draw(st.booleans()):
            return _literal(value, type_)
        variable = f"v{len(self.declared)}"
        default = ""
        if self._is_one_of(6) and value is not None:
            default = f" = {_literal(value, type_)}"
        elif not self._is_one_of(_ODD_ONE_OF) or name in _ALWAYS:
            self.variables[variable] = _plain(value)
        self.declared.append(f"${variable}: {type_}{default}")
        return f"${variable}"

    def _of(self, type_: GraphQLInputType, name: str) -> Any:
        if isinstance(type_, GraphQLNonNull):
            return self._of(type_.of_type, name)
        if name not in _ALWAYS and self._is_one_of(_ODD_ONE_OF):
            return None
        if isinstance(type_, GraphQLList):
            item = type_.of_type
            required = item if isinstance(item, GraphQLNonNull) else GraphQLNonNull(item)
            return [self._of(required, name) for _ in range(self.draw(st.integers(0, 2)))]
        if isinstance(type_, GraphQLEnumType):
            return _Name(self.draw(st.sampled_from(sorted(type_.values))))
        if isinstance(type_, GraphQLInputObjectType):
            names = self.draw(st.lists(st.sampled_from(sorted(type_.fields)), max_size=2, unique=True))
            return {each: self._of(type_.fields[each].type, each) for each in names}
        pool = self.odd if self._is_one_of(_ODD_ONE_OF) and name not in _ALWAYS else self.pool
        values = pool.get(name) or pool[get_named_type(type_).name]
        return self.draw(st.sampled_from(values))


class _Name(str):
    """An enum's name, which is no string as a literal."""

    __slots__ = ()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, str) else value


def _literal(value: Any, type_: GraphQLInputType) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {_literal(each, type_)}' for name, each in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(_literal(each, type_) for each in value)}]"
    if isinstance(value, str) and not isinstance(value, _Name):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return orjson.dumps(value).decode() if value is None or isinstance(value, bool) else str(value)


@st.composite
def queries(draw: Callable[[st.SearchStrategy[Any]], Any], schema: GraphQLSchema, pool: Pool, odd: Pool) -> Asked:
    """A query, perhaps one that is refused."""
    writer = _Writer(schema, pool, odd, draw)
    assert schema.query_type is not None
    return writer.asked("query", writer.selection(schema.query_type, 0))


@st.composite
def selections(
    draw: Callable[[st.SearchStrategy[Any]], Any], schema: GraphQLSchema, pool: Pool, odd: Pool, fields: Sequence[str]
) -> Asked:
    """A mutation or subscription of one of some root fields, given with their arguments, and a random selection."""
    writer = _Writer(schema, pool, odd, draw)
    text = draw(st.sampled_from(fields))
    operation, _, field = text.partition(" ")
    root = schema.mutation_type if operation == "mutation" else schema.subscription_type
    assert root is not None
    type_ = get_named_type(root.fields[field.partition("(")[0]].type)
    return writer.asked(operation, f"{{ {field} {writer.selection(type_, 1)} }}")
