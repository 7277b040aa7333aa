"""What a client is told when something goes wrong."""

import logging

import pytest
import structlog
from graphql import GraphQLError

from errors import (
    ConflictError,
    ForbiddenError,
    InvalidCursorError,
    NotFoundError,
    SealError,
    UnauthenticatedError,
    UnavailableError,
)
from execution.errors import of_exception, shown_to_client
from tests.world.caller import Caller


@pytest.mark.parametrize(
    ("exception", "code"),
    [
        (NotFoundError("There is none."), "NOT_FOUND"),
        (ConflictError("It is taken.", code="EXTERNAL_ID_TAKEN"), "EXTERNAL_ID_TAKEN"),
        (UnauthenticatedError("Who are you?"), "UNAUTHENTICATED"),
        (ForbiddenError("You may not."), "FORBIDDEN"),
        (InvalidCursorError("What is that?"), "INVALID_CURSOR"),
    ],
)
def test_what_a_client_can_mend_is_told_in_full(exception: Exception, code: str) -> None:
    """Wrapped as often as it may be."""
    wrapped = GraphQLError("x", original_error=GraphQLError("y", original_error=exception))

    error = shown_to_client(wrapped, "r1")

    assert error.message == str(exception)
    assert error.extensions == {"code": code}


@pytest.mark.parametrize("exception", [KeyError("sk_test_secret"), SealError("key k1 is missing"), AssertionError()])
def test_what_is_our_fault_is_masked_and_logged(exception: Exception) -> None:
    """Under the request's id, by which it is found."""
    with structlog.testing.capture_logs() as logged:
        error = of_exception(exception, "r1")

    assert error.message == "Something went wrong on our side (request r1)."
    assert error.extensions == {"code": "INTERNAL_SERVER_ERROR", "requestId": "r1"}
    assert [(entry["log_level"], entry["request_id"], entry["exc_info"]) for entry in logged] == [
        ("error", "r1", exception)
    ]


@pytest.mark.parametrize(
    "exception", [UnavailableError("No."), ConnectionRefusedError(111, "10.0.0.7"), TimeoutError()]
)
def test_a_database_that_is_away_asks_for_patience(exception: Exception) -> None:
    """Without saying where it is."""
    with structlog.testing.capture_logs():
        error = of_exception(exception, "r1")

    assert error.extensions == {"code": "UNAVAILABLE", "requestId": "r1"}
    assert "10.0.0.7" not in error.message


async def test_graphqls_own_errors_are_told_as_they_are(reader: Caller) -> None:
    """They are about the request alone."""
    syntax = await reader.refusal("{")
    validation = await reader.refusal("{ nope }")
    coercion = await reader.refusal("query ($first: Int!) { invoices(first: $first) { totalCount } }", first="x")

    assert syntax["message"].startswith("Syntax Error")
    assert "Cannot query field 'nope'" in validation["message"]
    assert "Int cannot represent" in coercion["message"]


async def test_variables_are_not_logged(reader: Caller, caplog: pytest.LogCaptureFixture) -> None:
    """They hold secrets."""
    document = """
      mutation ($key: String!) { connectStripe(input: {name: "Main", secretKey: $key}) { __typename } }
    """
    with structlog.testing.capture_logs() as logged, caplog.at_level(logging.INFO):
        await reader.refusal(document, key="sk_test_51Secret")

    assert "51Secret" not in f"{logged} {caplog.text}"
