"""What we override or use of uvicorn's, Tortoise's and aiosqlite's internals: an upgrade that moves any fails in words.

An override is known by the fingerprint of what it stands for. Where one has changed, read the library's new code beside
ours; once ours holds, note the new fingerprint here, and the version in pyproject.toml.
"""

import hashlib
import inspect
import re
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any, Final

import aiosqlite
import asyncpg
import pytest
from tortoise.backends.asyncpg.client import AsyncpgDBClient
from tortoise.backends.asyncpg.client import TransactionWrapper as PostgresTransaction
from tortoise.backends.base.executor import EXECUTOR_CACHE
from tortoise.backends.sqlite.client import SqliteClient, SqliteTransactionWrapper
from tortoise.connection import get_connections
from tortoise.context import set_global_context
from tortoise.expressions import Q
from tortoise.fields.data import CharEnumFieldInstance
from tortoise.manager import Manager
from tortoise.models import MetaInfo, Model
from tortoise.queryset import AwaitableQuery, QuerySet
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from database.postgres_connections import PostgresConnections
from database.postgres_session import Session
from database.scope import WorkspaceManager
from database.sqlite_readers import SqliteReaders
from database.sqlite_writer import SqliteWriter
from edge.server.http import BoundedProtocol
from edge.server.websocket import BoundedWebSocket

VERSIONS: Final = {"uvicorn": "0.54.0", "tortoise-orm": "1.1.9", "aiosqlite": "0.22.1", "asyncpg": "0.32.0"}
"""What all of this was read in."""

OVERRIDDEN: Final[Mapping[type, tuple[type, Mapping[str, str]]]] = {
    BoundedProtocol: (
        HttpToolsProtocol,
        {
            "__init__": "905b91f2",
            "connection_made": "b4322d51",
            "connection_lost": "d6565d9c",
            "pause_writing": "627fa9f4",
            "resume_writing": "df8c93a5",
            "timeout_keep_alive_handler": "2a83d68a",
            "on_response_complete": "f6ae4a31",
            "data_received": "b4f9892d",
            "send_400_response": "109aaf18",
            "handle_websocket_upgrade": "ae350936",
            "on_headers_complete": "09d867a0",
            "on_body": "9492092d",
            "on_message_complete": "656de529",
            "shutdown": "4c59c260",
        },
    ),
    BoundedWebSocket: (
        WebSocketsSansIOProtocol,
        {
            "__init__": "9f7c0b85",
            "connection_made": "bd9f70d2",
            "connection_lost": "e620c357",
            "data_received": "7e5370f5",
            "pause_writing": "8808377d",
            "resume_writing": "4145ec00",
            "send_keepalive_ping": "1715f321",
            "keepalive_timeout": "71c06703",
            "handle_ping": "b60b96bc",
            "handle_cont": "299b5251",
            "handle_parser_exception": "99718b6b",
            "run_asgi": "e9cdd02c",
        },
    ),
    Session: (asyncpg.Connection, {"_do_execute": "8ec71135"}),
    PostgresConnections: (
        AsyncpgDBClient,
        {
            "__init__": "a0992ea0",
            "create_connection": "80343348",
            "acquire_connection": "e2f1fe28",
            "_close": "81ccbcf8",
        },
    ),
    SqliteReaders: (
        SqliteClient,
        {
            "__init__": "518fa00c",
            "create_connection": "fdcf44de",
            "close": "19b7ec1b",
            "acquire_connection": "44cbb752",
            "execute_query": "e533fff8",
            "execute_query_dict": "c48f656a",
        },
    ),
    SqliteWriter: (SqliteClient, {"create_connection": "fdcf44de"}),
    WorkspaceManager: (
        Manager,
        {
            "get_queryset": "40e22cf1",
        },
    ),
}
"""Our classes, whose they extend, and the methods that ours replace or extend, with their fingerprints."""

CALLED: Final[Mapping[tuple[type, str], str]] = {
    (SqliteTransactionWrapper, "__init__"): "b0ef71a1",
    (PostgresTransaction, "__init__"): "067fb0a9",
    (Model, "_init_from_db"): "87fd45b9",
    (QuerySet, "_make_query"): "ff109f97",
    (AwaitableQuery, "_choose_db_if_not_chosen"): "36fb670c",
    (AwaitableQuery, "sql"): "94e86e78",
    (aiosqlite.Connection, "_conn"): "491cf4b1",
    (aiosqlite.Connection, "interrupt"): "ab5b6adc",
}
"""What we call that is private, or that we rely on to do what it does now."""

ATTRIBUTES: Final[Mapping[type, str]] = {
    HttpToolsProtocol: (
        "loop transport cycle flow scope url client app config parser headers server_state expect_100_continue"
    ),
    RequestResponseCycle: "response_complete transport disconnected keep_alive message_event",
    WebSocketsSansIOProtocol: (
        "loop transport conn queue frames writable disconnected close_sent read_paused close_timer client scope"
    ),
    AsyncpgDBClient: "_pool",
    QuerySet: ("_orderings _limit _offset _distinct _annotations _custom_filters _q_objects _select_for_update"),
    Q: "_is_negated",
    PostgresTransaction: "_connection",
    SqliteClient: "_connection _lock filename pragmas",
    SqliteTransactionWrapper: "_connection",
    MetaInfo: "fields_map db_table",
    CharEnumFieldInstance: "enum_type",
}
"""The attributes that we read or set."""


def fingerprint(code: Callable[..., Any] | property) -> str:
    """A short hash of what a function says, but for its blanks."""
    source = inspect.getsource(code.fget if isinstance(code, property) and code.fget else code)  # type: ignore[arg-type]
    return hashlib.sha256(" ".join(source.split()).encode()).hexdigest()[:8]


@pytest.mark.parametrize("library", VERSIONS)
def test_the_versions_are_those_that_were_read(library: str) -> None:
    assert version(library) == VERSIONS[library], (
        f"{library} is another version than {VERSIONS[library]}, in which its internals were read. Run this module,"
        " read what it names, run benchmarks/fanout.py and benchmarks/ingest.py, then note the version here."
    )


@pytest.mark.parametrize("ours", OVERRIDDEN, ids=lambda ours: ours.__name__)
def test_every_override_is_noted(ours: type) -> None:
    theirs, noted = OVERRIDDEN[ours]
    overridden = {name for name in vars(ours) if callable(getattr(theirs, name, None))} - set(vars(object))

    assert ours.__mro__[1] is theirs
    assert overridden | ({"__init__"} & set(vars(ours))) == set(noted)


@pytest.mark.parametrize(
    ("theirs", "name", "noted"),
    sorted(
        {(theirs, name, noted) for theirs, methods in OVERRIDDEN.values() for name, noted in methods.items()}, key=str
    ),
)
def test_what_an_override_stands_for_is_as_it_was(theirs: type, name: str, noted: str) -> None:
    found = fingerprint(getattr(theirs, name))

    assert found == noted, f"{theirs.__module__}.{theirs.__name__}.{name} has changed: read it beside our override."


@pytest.mark.parametrize(("theirs", "name", "noted"), [(*which, noted) for which, noted in CALLED.items()])
def test_what_we_call_is_as_it_was(theirs: type, name: str, noted: str) -> None:
    found = fingerprint(inspect.getattr_static(theirs, name))

    assert found == noted, f"{theirs.__module__}.{theirs.__name__}.{name} has changed: read it, and who calls it."


@pytest.mark.parametrize(
    ("theirs", "name"), [(each, name) for each, names in ATTRIBUTES.items() for name in names.split()]
)
def test_attributes_are_still_there(theirs: type, name: str) -> None:
    libraries = "tortoise", "uvicorn"
    sources = [inspect.getsource(each) for each in theirs.__mro__ if each.__module__.startswith(libraries)]

    assert any(re.search(rf"self\.{name}( = |: )", source) for source in sources), (
        f"{theirs.__module__}.{theirs.__name__} has no {name} any more: look for who uses it here."
    )


def test_what_is_shared_by_all_of_tortoise_is_still_there() -> None:
    """`database/access.py` empties the cache of statements, and has a task's models go by its own transaction."""
    assert isinstance(EXECUTOR_CACHE, dict)
    assert list(inspect.signature(set_global_context).parameters) == ["ctx"]
    assert callable(get_connections)


def test_a_server_state_takes_what_its_protocols_share() -> None:
    """`edge/server/connections.py` keeps the server's connections there."""
    state = ServerState()

    vars(state)["kept"] = "ours"

    assert state.kept == "ours"  # type: ignore[attr-defined]
