"""How many messages, bytes and fragments a client may send over a socket."""

from contextlib import suppress

from websockets.exceptions import ConnectionClosed

from edge.graphql.socket import OPERATIONS
from edge.graphql.socket_transport import MAX_MESSAGES_AT_ONCE
from tests.edge.graphql.peer import EVENTS, TYPENAME, acknowledged
from tests.world.app import RunningApp


async def test_a_socket_has_so_many_operations_at_once(app: RunningApp) -> None:
    async with acknowledged(app) as peer:
        for number in range(OPERATIONS.maximum + 1):
            await peer.subscribe(str(number), EVENTS)
        message = await peer.receive()
        await peer.send({"id": "0", "type": "complete"})
        await peer.subscribe("again", TYPENAME)
        again = await peer.receive()

    assert (message["type"], message["id"]) == ("error", "100")
    (error,) = message["payload"]
    assert error["extensions"] == {"code": "LIMIT_EXCEEDED", "limit": "operationsPerSocket", "maximum": 100}
    assert "More than 100 operations" in error["message"]
    assert (again["type"], again["id"]) == ("next", "again")


async def test_a_client_sends_so_many_messages_at_once(app: RunningApp) -> None:
    """Then it is sent away for a while."""
    async with acknowledged(app) as peer:
        with suppress(ConnectionClosed):
            for _ in range(MAX_MESSAGES_AT_ONCE * 4):
                await peer.send({"type": "pong"})

        code, reason = await peer.closed()

    assert (code, reason) == (1013, "More than 50 messages a second, 200 at once: send fewer.")


async def test_a_burst_within_the_limit_is_taken(app: RunningApp) -> None:
    async with acknowledged(app) as peer:
        await peer.send(*({"type": "pong"} for _ in range(MAX_MESSAGES_AT_ONCE - 2)))

        assert await peer.is_usable()


async def test_a_message_has_so_many_bytes(app: RunningApp) -> None:
    async with acknowledged(app) as peer:
        with suppress(ConnectionClosed):
            await peer.send({"type": "ping", "payload": {"a": "x" * 1024 * 1024}})

        code, reason = await peer.closed()

    assert code == 1009
    assert "1048576 bytes" in reason


async def test_a_message_has_so_many_fragments(app: RunningApp) -> None:
    async with acknowledged(app) as peer:
        with suppress(ConnectionClosed):
            await peer.connection.send('{"type": "pong"' for _ in range(3000))

        code, reason = await peer.closed()

    assert (code, reason) == (1009, "A message has at most 1024 fragments.")
