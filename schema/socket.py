"""GraphQL over WebSocket: the protocol graphql-transport-ws, each operation authenticated by itself.

Source: graphql-ws, "GraphQL over WebSocket Protocol".
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, aclosing, suppress
from typing import TYPE_CHECKING, Any, Final

import orjson
from graphql import GraphQLError
from starlette.websockets import WebSocketDisconnect, WebSocketState
from strawberry.asgi import ASGIWebSocketAdapter
from strawberry.http.exceptions import NonJsonMessageReceived, NonTextMessageReceived, WebSocketDisconnected
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import (
    BaseGraphQLTransportWSHandler,
    Operation,
)

from models.errors import Unauthenticated
from schema.document import NUL_REFUSED, has_nul
from schema.error import of_exception
from schema.fanout import STUCK_AFTER_S, Asked, Send, Shown, StuckError
from schema.operation import Operation as Context
from schema.operation import new_request_id

if TYPE_CHECKING:
    from schema.view import GraphQLEndpoint

UNAUTHORIZED: Final = (4401, "Unauthorized")
_TOO_LARGE: Final = (1009, "Message too large")
_TRY_AGAIN: Final = (1013, "Try again later")
_TOO_SLOW: Final = (1013, "You read too slowly: come back with your last cursor")
MOST_CHARACTERS: Final = 1024 * 1024


class SocketAdapter(ASGIWebSocketAdapter):
    """Frames as text, and nothing sent to who is gone."""

    async def iter_json(self, *, ignore_parsing_errors: bool = False) -> AsyncGenerator[object, None]:  # noqa: ARG002
        """What the client sends, until it leaves."""
        while self.ws.application_state is not WebSocketState.DISCONNECTED:
            frame = await self.ws.receive()
            if frame["type"] == "websocket.disconnect":
                return
            text = frame.get("text")
            if text is None:
                raise NonTextMessageReceived
            if len(text) > MOST_CHARACTERS:
                await self.close(*_TOO_LARGE)
                return
            try:
                yield orjson.loads(text)
            except orjson.JSONDecodeError as error:
                raise NonJsonMessageReceived from error

    async def send_json(self, message: Mapping[str, object]) -> None:
        await self.send_text(orjson.dumps(message).decode())

    async def send_text(self, text: str) -> None:
        """Send a frame.

        Raises:
            WebSocketDisconnected: The client is gone.
        """
        if self.ws.application_state is WebSocketState.DISCONNECTED:
            raise WebSocketDisconnected
        try:
            await self.ws.send({"type": "websocket.send", "text": text})
        except (WebSocketDisconnect, RuntimeError) as error:
            raise WebSocketDisconnected from error

    async def close(self, code: int, reason: str) -> None:
        if self.ws.application_state is WebSocketState.DISCONNECTED:
            return
        with suppress(WebSocketDisconnect, RuntimeError):
            await self.ws.close(code=code, reason=reason[:100])  # a close frame holds 123 bytes


class SocketHandler(BaseGraphQLTransportWSHandler[Context, None]):
    """One socket. Its key is checked when it opens, at every operation, and every few seconds in between."""

    view: "GraphQLEndpoint"
    websocket: SocketAdapter

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._authorization: str | None = None
        self._while_open = AsyncExitStack()
        self._closing: asyncio.Task[None] | None = None

    async def handle(self) -> None:
        async with self._while_open:
            await super().handle()

    async def handle_message(self, message: Any) -> None:
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            await self.handle_invalid_message("A message is a JSON object with a type")
        elif message["type"] in {"subscribe", "complete"} and not isinstance(message.get("id"), str):
            await self.handle_invalid_message("The id of an operation is a text")
        else:
            await super().handle_message(message)  # type: ignore[arg-type]

    # --- Opening -----------------------------------------------------------------------------------------------

    async def handle_connection_init(self, message: Any) -> None:
        if self.connection_timed_out:
            return
        if self.connection_init_received:
            await self.websocket.close(4429, "Too many initialisation requests")
            return
        payload = message.get("payload") or {}
        if not isinstance(payload, dict):
            await self.websocket.close(4400, "Invalid connection init payload")
            return
        self.connection_init_received = True
        if self.connection_init_timeout_task:
            self.connection_init_timeout_task.cancel()
        authorization = payload.get("authorization", payload.get("Authorization"))
        self._authorization = authorization if isinstance(authorization, str) else None
        request_id = new_request_id()
        try:
            context = await self.view.operation(self._authorization, request_id)
        except Unauthenticated:
            await self.websocket.close(*UNAUTHORIZED)
            return
        except Exception as error:
            of_exception(error, request_id)
            await self.websocket.close(*_TRY_AGAIN)
            return
        holding = self.view.keys.holding(context.caller.api_key.id, self._close_unauthorized)
        self._while_open.enter_context(holding)
        await self.send_message({"type": "connection_ack"})
        self.connection_acknowledged = True

    def _close_unauthorized(self) -> None:
        self._closing = asyncio.create_task(self._stop())

    async def _stop(self) -> None:
        await self.websocket.close(*UNAUTHORIZED)
        for operation_id in list(self.operations):
            await self.cleanup_operation(operation_id)

    # --- Operations --------------------------------------------------------------------------------------------

    async def handle_subscribe(self, message: Any) -> None:
        payload = message.get("payload")
        if not isinstance(payload, dict) or not isinstance(payload.get("query"), str):
            await self.handle_invalid_message("The payload of subscribe is an object with a query")
        elif not isinstance(payload.get("variables"), dict | None):
            await self.handle_invalid_message("The variables are an object")
        elif not isinstance(payload.get("operationName"), str | None):
            await self.handle_invalid_message("The operationName is a text")
        else:
            await super().handle_subscribe(message)

    async def run_operation(self, operation: Operation[Context, None]) -> None:
        """Answer an operation: its results, or one error, then that it is complete."""
        request_id = new_request_id()
        try:
            context = await self.view.operation(self._authorization, request_id)
            if has_nul(operation.variables):
                await operation.send_initial_errors([GraphQLError(NUL_REFUSED)])
                return
            asked = Asked(operation.query, operation.variables, operation.operation_name)
            send = self._sender(operation)
            async with aclosing(self.view.fanout.results(asked, context, send)) as results:
                async for shown in results:
                    if shown.is_last:
                        await operation.send_initial_errors(shown.result.errors or [])
                        return
                    async with asyncio.timeout(STUCK_AFTER_S):
                        await send(shown)
            await operation.send_operation_message({"id": operation.id, "type": "complete"})
        except Unauthenticated:
            await self.websocket.close(*UNAUTHORIZED)
        except (StuckError, TimeoutError):
            await self.websocket.close(*_TOO_SLOW)
        except WebSocketDisconnected:
            pass
        except Exception as error:
            with suppress(WebSocketDisconnected):
                await operation.send_initial_errors([of_exception(error, request_id)])
        finally:
            if self.operations.get(operation.id) is operation:
                del self.operations[operation.id]

    def _sender(self, operation: Operation[Context, None]) -> Send:
        """What sends a result of an operation, as long as that runs: its payload as it is, between what is its own."""
        begin = f'{{"id":{orjson.dumps(operation.id).decode()},"type":"next","payload":'
        send_text = self.websocket.send_text

        async def send(shown: Shown) -> None:
            if self.operations.get(operation.id) is operation:
                await send_text(f"{begin}{shown.payload}}}")

        return send
