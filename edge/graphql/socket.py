"""GraphQL over WebSocket: the protocol graphql-transport-ws, each operation authenticated on its own.

Source: graphql-ws, "GraphQL over WebSocket Protocol".
"""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, suppress
from typing import Any, Final, Protocol

import orjson
from graphql import GraphQLError
from starlette.requests import HTTPConnection
from strawberry.http.exceptions import WebSocketDisconnected
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import (
    BaseGraphQLTransportWSHandler,
)
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import Operation as SocketOperation

from edge.graphql.keys import KeyWatch, ends_with
from edge.graphql.socket_messages import invalid_because
from edge.graphql.socket_transport import Socket, SocketAdapter
from errors import RateLimitedError, UnauthenticatedError
from execution.documents import NUL_REFUSED, has_nul, is_subscription
from execution.errors import of_exception
from execution.limits import Limit
from execution.persisted import DocumentRefusedError, PersistedDocuments, TrustedDocuments
from execution.shown import Asked, GoneError, Send, Shown, StuckError, send_one
from models.session import Session
from resolvers.auth import Credential
from schema.context import Operation, new_request_id

CLOSE_CODES: Final[Mapping[int, str]] = {
    1009: "A message is larger than the limit in the reason. Don't send it again.",
    1012: "The server restarts. Reconnect with your last cursor.",
    1013: "You read too slowly or sent too much at once, as the reason says; or, at connection_init, the rate limit is"
    " used up or the server can't look up the key now. Come back after a pause, with your last cursor.",
    4400: "A message does not follow the protocol; the reason says how.",
    4401: "There is no valid API key: none was given, it is unknown, it has expired or it was revoked, its session has"
    " ended, or an operation came before connection_init. Come back with a valid one.",
    4406: "The WebSocket was opened without the sub-protocol graphql-transport-ws, the only one here.",
    4408: "No connection_init arrived within 5 seconds.",
    4409: "An operation with this id is running already.",
    4429: "connection_init was sent twice.",
}
"""The close codes of a socket, and what the client should do; without a code (1006) it should reconnect.

4403 is not used: a foreign Origin is refused with HTTP 403 before the socket opens, and a missing scope is an error of
the operation. graphql-ws reconnects after 1006, 1012, 1013 and 4408.
"""

UNAUTHORIZED: Final = (4401, "Unauthorized")
_TRY_AGAIN: Final = (1013, "Try again later")
_TOO_SLOW: Final = (1013, "You read too slowly: reconnect with your last cursor")
_ANSWERED_WITHIN_S: Final = 1.0
"""How long queries and mutations in flight may take after their key is revoked."""


OPERATIONS: Final = Limit(
    "operationsPerSocket",
    100,
    "More than {maximum} operations at once on one socket: complete some, or open another socket.",
)


class Endpoint(Protocol):
    """The part of GraphQLEndpoint that a socket uses."""

    keys: KeyWatch
    documents: PersistedDocuments | TrustedDocuments

    def session_of(self, socket: Socket) -> Session | None:
        """Return the session of the page that opened a socket."""

    async def operation(self, credential: Credential, request_id: str) -> Operation:
        """Make the context of an operation that begins now."""

    async def count_request(self, connection: HTTPConnection) -> None:
        """Count a request with a valid API key."""

    async def count_failure(self, connection: HTTPConnection) -> None:
        """Count a request without one."""

    async def count_mutations(self, operation: Operation, query: str, operation_name: str | None) -> None:
        """Count every mutation of an operation but the first."""

    def results(self, asked: Asked, operation: Operation, send: Send | None = None) -> AsyncGenerator[Shown, None]:
        """Yield the results of an operation."""


class SocketHandler(BaseGraphQLTransportWSHandler[Operation, None]):
    """One socket. Its key is checked when it opens, at every operation, and every few seconds in between."""

    view: Endpoint  # type: ignore[assignment]
    websocket: SocketAdapter

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._credential: Credential = None
        self._while_open = AsyncExitStack()
        self._closing: asyncio.Task[None] | None = None

    async def handle(self) -> None:
        async with self._while_open:
            await super().handle()

    async def handle_message(self, message: Any) -> None:
        if (mistake := invalid_because(message)) is not None:
            await self.handle_invalid_message(mistake)
        else:
            await super().handle_message(message)

    async def handle_ping(self, message: Any) -> None:
        payload = message.get("payload")
        try:
            await self.send_message({"type": "pong"} if payload is None else {"type": "pong", "payload": payload})
        except orjson.JSONEncodeError:
            await self.handle_invalid_message("The payload of a ping is nested too deeply to be sent back")

    # --- Opening -----------------------------------------------------------------------------------------------

    async def handle_connection_init(self, message: Any) -> None:
        if self.connection_timed_out:
            return
        if self.connection_init_received:
            await self.websocket.close(4429, "Too many initialisation requests")
            return
        payload = message.get("payload") or {}
        self.connection_init_received = True
        if self.connection_init_timeout_task:
            self.connection_init_timeout_task.cancel()
        self._credential = self._credential_in(payload)
        request_id = new_request_id()
        try:
            async with asyncio.timeout(self.connection_init_wait_timeout.total_seconds()):
                context = await self.view.operation(self._credential, request_id)
                await self.view.count_request(self.websocket.ws)
        except UnauthenticatedError:
            with suppress(RateLimitedError):
                await self.view.count_failure(self.websocket.ws)
            await self.websocket.close(*UNAUTHORIZED)
            return
        except Exception as error:
            if not isinstance(error, TimeoutError):
                of_exception(error, request_id)  # which logs what is unexpected
            await self.websocket.close(*_TRY_AGAIN)
            return
        holding = self.view.keys.holding(context.caller.api_key.id, self._close_unauthorized)
        self._while_open.enter_context(holding)
        session = self._credential if isinstance(self._credential, Session) else None
        self._while_open.enter_context(ends_with(session, self._close_unauthorized))
        if self.websocket.ws.texts is not None:
            self.websocket.ws.texts.in_use()
        await self.send_message({"type": "connection_ack"})
        self.connection_acknowledged = True

    def _credential_in(self, payload: Mapping[str, Any]) -> Credential:
        """Return the credential: a key in the payload, even an invalid one, takes precedence over a session."""
        names = ("authorization", "Authorization")
        given = next((payload[name] for name in names if payload.get(name) is not None), None)
        if given is None:
            return self.view.session_of(self.websocket.ws)
        return given if isinstance(given, str) else None

    def _close_unauthorized(self) -> None:
        """End subscriptions at once, and close the socket once queries and mutations in flight are answered."""
        for operation in list(self.operations.values()):
            if is_subscription(operation.query, operation.operation_name):
                self._end(operation.id)
        self._closing = self._closing or asyncio.create_task(self._stop())

    async def _stop(self) -> None:
        if tasks := [operation.task for operation in self.operations.values() if operation.task]:
            await asyncio.wait(tasks, timeout=_ANSWERED_WITHIN_S)
        await self.websocket.close(*UNAUTHORIZED)
        for operation_id in list(self.operations):
            self._end(operation_id)

    # --- Operations --------------------------------------------------------------------------------------------

    async def handle_subscribe(self, message: Any) -> None:
        operation_id, payload = message["id"], message["payload"]
        is_new = self.connection_acknowledged and operation_id not in self.operations
        if is_new and len(self.operations) >= OPERATIONS.maximum:
            await self._refuse(operation_id, OPERATIONS.refusal())
        elif not is_new or not await self._is_refused(operation_id, payload):
            if is_new and not isinstance(payload.get("query"), str):
                await self.handle_invalid_message("The payload of subscribe must have a query, which is a text")
            else:
                await super().handle_subscribe(message)

    async def _is_refused(self, operation_id: str, payload: Any) -> bool:
        """Fill in the text of a document that came as an id; if the id is unknown, send an error and return True."""
        try:
            payload["query"] = self.view.documents.text_of(payload) or payload.get("query")
        except DocumentRefusedError as refusal:
            await self._refuse(operation_id, refusal)
            return True
        return False

    async def _refuse(self, operation_id: str, error: GraphQLError) -> None:
        await self.send_message({"id": operation_id, "type": "error", "payload": [error.formatted]})

    async def cleanup_operation(self, operation_id: str) -> None:
        self._end(operation_id)

    def _end(self, operation_id: str) -> None:
        if (operation := self.operations.pop(operation_id, None)) is not None:
            operation.completed = True  # send nothing more: the client may use its id again
            if operation.task is not None:
                operation.task.cancel()

    async def run_operation(self, operation: SocketOperation[Operation, None]) -> None:
        """Run an operation: send its results, or one error, then `complete`."""
        request_id = new_request_id()
        try:
            context = await self.view.operation(self._credential, request_id)
            if has_nul(operation.variables):
                await operation.send_initial_errors([GraphQLError(NUL_REFUSED)])
                return
            await self.view.count_mutations(context, operation.query, operation.operation_name)
            asked = Asked(operation.query, operation.variables, operation.operation_name)
            send = self._sender(operation)
            async with aclosing(self.view.results(asked, context, send)) as results:
                async for shown in results:
                    if shown.is_last:
                        await operation.send_initial_errors(shown.result.errors or [])
                        return
                    await send_one(send, shown)
            await operation.send_operation_message({"id": operation.id, "type": "complete"})
        except UnauthenticatedError:
            await self.websocket.close(*UNAUTHORIZED)
        except StuckError:
            await self.websocket.close(*_TOO_SLOW)
        except (GoneError, WebSocketDisconnected):
            pass
        except Exception as error:
            with suppress(WebSocketDisconnected):
                await operation.send_initial_errors([of_exception(error, request_id)])
        finally:
            if self.operations.get(operation.id) is operation:
                del self.operations[operation.id]

    def _sender(self, operation: SocketOperation[Operation, None]) -> Send:
        """Make the function that sends results of an operation while it runs; shared payloads are sent unchanged."""
        begin, end = b'{"id":%b,"type":"next","payload":' % orjson.dumps(operation.id), b"}"
        around, id_, operations = len(begin) + len(end), operation.id, self.operations
        socket, texts = self.websocket.ws, self.websocket.ws.texts
        head_of = None if texts is None else texts.head

        def send(some: Sequence[Shown]) -> Coroutine[Any, Any, None] | None:
            if operations.get(id_) is not operation:
                return None
            if texts is None or head_of is None:
                return socket.send_all(b"".join((begin, shown.payload, end)) for shown in some)
            frames = b"".join(
                [b"".join((head_of(around + len(shown.payload)), begin, shown.payload, end)) for shown in some]
            )
            return None if texts.write(frames) else texts.write_in_time(frames)

        return send
