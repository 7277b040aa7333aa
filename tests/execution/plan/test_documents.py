"""Which documents have a plan: all operations in the README, the documentation and the dashboard."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    OperationDefinitionNode,
    OperationType,
    Visitor,
    parse,
    print_ast,
    visit,
)
from graphql.execution.values import VariableValues

from execution.plan import planned
from execution.plan.arguments import Conditions
from execution.plan.compile import MAX_READS, Compiler
from execution.plan.plan import Plan, UnplannedError
from execution.schema import schema

ROOT: Final = Path(__file__).resolve().parents[3]
_IN_MARKDOWN: Final = re.compile(r"```graphql\n(.*?)```", re.DOTALL)
_IN_TYPESCRIPT: Final = re.compile(r"graphql\(\s*`(.*?)`", re.DOTALL)


def written(*kinds: OperationType) -> Iterator[DocumentNode]:
    """Each operation of these kinds that is written anywhere, with its fragments."""
    texts = [
        *(text for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")] for text in _found(_IN_MARKDOWN, path)),
        *(
            text
            for path in sorted((ROOT / "dashboard" / "src").rglob("*.ts*"))
            for text in _found(_IN_TYPESCRIPT, path)
        ),
    ]
    definitions = [definition for text in texts for definition in parse(text).definitions]
    fragments = {each.name.value: each for each in definitions if isinstance(each, FragmentDefinitionNode)}
    for each in definitions:
        if isinstance(each, OperationDefinitionNode) and each.operation in kinds:
            yield DocumentNode(definitions=(each, *_spread_in(each, fragments).values()))


def _found(form: re.Pattern[str], path: Path) -> list[str]:
    return form.findall(path.read_text(encoding="utf-8"))


class _Spreads(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def enter_fragment_spread(self, node: FragmentSpreadNode, *_: object) -> None:
        self.names.add(node.name.value)


def _spread_in(
    definition: OperationDefinitionNode | FragmentDefinitionNode, fragments: dict[str, FragmentDefinitionNode]
) -> dict[str, FragmentDefinitionNode]:
    spreads = _Spreads()
    visit(definition, spreads)
    found: dict[str, FragmentDefinitionNode] = {}
    for name in sorted(spreads.names):
        found |= {name: fragments[name], **_spread_in(fragments[name], fragments)}
    return found


def compiler(document: DocumentNode) -> Compiler:
    """What compiles a document of one query; what depends on a variable is included."""
    (operation,) = (each for each in document.definitions if isinstance(each, OperationDefinitionNode))
    conditions = Conditions(document)
    assert conditions.are_known
    return Compiler(schema, document, operation, VariableValues({}, dict.fromkeys(conditions.variables, True)))


def compiled(document: DocumentNode) -> Plan:
    """A document's plan."""
    return compiler(document).plan()


def unplanned(document: DocumentNode, compile_: Callable[[Compiler], object]) -> list[tuple[str, str]]:
    """Why a document can't be compiled, if it can't."""
    try:
        compile_(compiler(document))
    except UnplannedError as reason:
        return [(reason.why, print_ast(document))]
    return []


def test_every_query_that_is_written_has_a_plan() -> None:
    """Nothing that we ask for, or show others to ask for, takes the slow way."""
    documents = list(written(OperationType.QUERY))

    assert [why for document in documents for why in unplanned(document, Compiler.plan)] == []
    assert len(documents) > 20


def test_every_other_operation_that_is_written_is_completed_by_a_plan() -> None:
    documents = list(written(OperationType.MUTATION, OperationType.SUBSCRIPTION))

    assert [why for document in documents for why in unplanned(document, Compiler.completions)] == []
    assert len(documents) > 20


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{ __schema { types { name } } }", "introspection"),
        (f"{{ {' '.join(f'a{n}: viewer {{ apiKey {{ id name preview createdAt }} }}' for n in range(400))} }}", "size"),
        (f"{{ {' '.join(f'a{n}: invoice(id: 1) {{ id }}' for n in range(MAX_READS + 1))} }}", "size"),
    ],
)
def test_what_a_plan_can_not_answer_is_left_to_graphql_core(text: str, why: str) -> None:
    """And it says why, for the metric."""
    with pytest.raises(UnplannedError) as refused:
        compiled(parse(text))

    assert refused.value.why == why


# --- What is kept ----------------------------------------------------------------------------------------------


def test_plans_are_kept_up_to_a_size_and_the_least_used_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """However much of them is text that has no field in it."""
    kept = planned._Plans()
    monkeypatch.setattr(planned, "MAX_KEPT_BYTES", 240_000)
    text = "{ viewer { apiKey { name } } }"

    first, *_ = [kept.get(key, compiler(parse(text)), 900) for key in ("first", "second", "third")]
    again = kept.get("first", compiler(parse(text)), 900)
    kept.get("fourth", compiler(parse(text)), 900)

    assert again is first
    assert list(kept._kept) == ["third", "first", "fourth"]
    assert 0 < kept.bytes <= planned.MAX_KEPT_BYTES


def test_why_there_is_no_plan_is_kept_without_what_was_compiled() -> None:
    kept = planned._Plans()

    for _ in range(2):
        with pytest.raises(UnplannedError) as refused:
            kept.get("schema", compiler(parse("{ __schema { types { name } } }")), 100)
        assert refused.value.why == "introspection"

    assert [found for found, _ in kept._kept.values()] == ["introspection"]
