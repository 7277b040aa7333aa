"""What a client that speaks HTTP is given."""

import pytest

from edge.graphql.request import GRAPHQL_RESPONSE, JSON, media_type


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/json", JSON),
        ("application/graphql-response+json", GRAPHQL_RESPONSE),
        ("application/graphql-response+json, application/json;q=0.9", GRAPHQL_RESPONSE),
        ("application/json, application/graphql-response+json", JSON),
        ("application/json;q=0.5, application/graphql-response+json; charset=utf-8", GRAPHQL_RESPONSE),
        ("application/graphql-response+json;q=many, application/json", JSON),
        ("application/graphql-response+json;q*=utf-8''1, application/json;;=,", JSON),
        ("text/html, application/xml", JSON),
    ],
)
def test_json_is_of_the_kind_that_the_client_prefers(accept: str, expected: str) -> None:
    """The plain kind, when it does not care."""
    assert media_type(accept) == expected
