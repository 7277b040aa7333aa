"""GraphQL over HTTP and WebSocket at one address.

Sources: "GraphQL over HTTP" (draft), graphql-sse "Distinct connections mode", and `schema.socket`.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from datetime import timedelta
from functools import cached_property
from typing import Any, Final, Self

import orjson
from cross_web import AsyncHTTPRequestAdapter, HTTPException
from graphql import GraphQLError
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.exceptions import MissingQueryError
from strawberry.http import GraphQLHTTPResponse, GraphQLRequestData
from strawberry.http.streaming import HTTPStreamTransport, MultipartSubscriptionTransport, SSETransport
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.subscriptions import (
    GRAPHQL_SSE_PROTOCOL,
    GRAPHQL_TRANSPORT_WS_PROTOCOL,
    MULTIPART_SUBSCRIPTION_PROTOCOL,
)
from strawberry.types import ExecutionResult
from strawberry.types.graphql import OperationType

from models.errors import Unauthenticated, Unavailable
from resolvers.auth import authenticate
from resolvers.context import Services
from resolvers.rate_limit import RateLimited, RateLimits
from schema.build import schema
from schema.error import of_exception
from schema.fanout import Asked, Fanout
from schema.key_watch import KeyWatch
from schema.operation import Operation, new_request_id
from schema.persisted import DocumentRefused, PersistedDocuments, TrustedDocuments
from schema.request import GRAPHQL_RESPONSE, NO_QUERY, asked_by, bounded, media_type, wants_stream
from schema.result import as_json, is_cut_short
from schema.socket import Socket, SocketAdapter, SocketHandler
from schema.uninterrupted import all_finished

INIT_TIMEOUT: Final = timedelta(seconds=5)

_CODES: Final = {
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    408: "REQUEST_TIMEOUT",
    413: "PAYLOAD_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
}
_STATUSES: Final = {"BAD_REQUEST": 400, Unavailable.code: 503}


class LineFeedSSE(SSETransport):
    """Server-sent events whose lines end as every client can read them."""

    def encode_event(self, event: str, data: str | None = None) -> str:
        return super().encode_event(event, data).replace("\r\n", "\n")

    def encode_comment(self, comment: str) -> str:
        return super().encode_comment(comment).replace("\r\n", "\n")


class Multipart(MultipartSubscriptionTransport):
    """Multipart subscriptions, whatever an Accept header's parameters look like."""

    def accepts_content_type(self, content_type: str, params: Mapping[str, object]) -> bool:
        return super().accepts_content_type(content_type, {name: str(value) for name, value in params.items()})


class GraphQLEndpoint(GraphQL[Operation, None]):
    """The ASGI endpoint of `Route("/graphql", …)` and `WebSocketRoute("/graphql", …)`.

    It is used within `async with endpoint:`.
    """

    websocket_adapter_class = SocketAdapter
    graphql_transport_ws_handler_class = SocketHandler
    stream_transport_classes_by_protocol: Mapping[str, type[HTTPStreamTransport]] = {
        GRAPHQL_SSE_PROTOCOL: LineFeedSSE,
        MULTIPART_SUBSCRIPTION_PROTOCOL: Multipart,
    }

    def __init__(
        self,
        services: Services,
        *,
        allowed_origins: Sequence[str],
        rate_limits: RateLimits,
        documents: PersistedDocuments | TrustedDocuments,
        introspection: bool,
        graphiql: bool,
    ) -> None:
        super().__init__(
            schema,
            subscription_protocols=(
                GRAPHQL_TRANSPORT_WS_PROTOCOL,
                GRAPHQL_SSE_PROTOCOL,
                MULTIPART_SUBSCRIPTION_PROTOCOL,
            ),
            connection_init_wait_timeout=INIT_TIMEOUT,
            allowed_origins=allowed_origins,
        )
        self._services = services
        self._watching: asyncio.Task[None] | None = None
        self.keys = KeyWatch()
        self.fanout = Fanout()
        self.documents = documents
        self._rate_limits = rate_limits
        self._introspection = introspection
        self._graphiql = graphiql

    async def __aenter__(self) -> Self:
        """Look after the keys of open connections."""
        self._watching = asyncio.create_task(self.keys.watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let mutations that still run finish."""
        await all_finished()
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)

    async def operation(self, authorization: str | None, request_id: str) -> Operation:
        """The context of an operation that begins now.

        Raises:
            Unauthenticated: There is no valid API key.
            RateLimited: The key was used too often.
        """
        caller = await authenticate(authorization)
        self.keys.note(caller.api_key.id)
        await self._rate_limits.count_operation(caller.api_key.id)
        return Operation(self._services, caller, request_id=request_id, introspection=self._introspection)

    async def count_failure(self, connection: HTTPConnection) -> None:
        """Count that somebody came without a valid API key."""
        await self._rate_limits.count_failure(_host(connection))

    # --- Answering ---------------------------------------------------------------------------------------------

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            socket = Socket(scope, receive, send)
            try:
                await self._rate_limits.count_request(_host(socket))
            except RateLimited as refusal:
                await socket.send_denial_response(_too_many(socket, of_exception(refusal, new_request_id())))
                return
            await self.run(socket)
            return
        response = await self._respond(Request(scope, bounded(receive)))
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        request_id = request.scope.get("state", {}).get("request_id") or new_request_id()
        try:
            if request.method not in {"GET", "POST"}:
                raise HTTPException(405, "GraphQL is asked by GET and POST.")
            await self._rate_limits.count_request(_host(request))
            if self._wants_page(request):
                if not self._graphiql:
                    raise HTTPException(404, "GraphiQL is switched off on this server (FLUXRATE_GRAPHIQL).")
                return HTMLResponse(self.page)
            operation = await self.operation(request.headers.get("authorization"), request_id)
            return await self.run(request, context=operation)
        except HTTPException as refusal:
            headers = {"allow": "GET, POST"} if refusal.status_code == 405 else {}
            error = GraphQLError(refusal.reason, extensions={"code": _CODES.get(refusal.status_code, "BAD_REQUEST")})
            return _refusal(request, refusal.status_code, error, headers)
        except DocumentRefused as refusal:
            return _refusal(request, _request_error_status(request), refusal, {})
        except RateLimited as refusal:
            return _too_many(request, of_exception(refusal, request_id))
        except Unauthenticated as refusal:
            await self.count_failure(request)
            return _refusal(request, 401, of_exception(refusal, request_id), {"www-authenticate": "Bearer"})
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        except Exception as error:
            failure = of_exception(error, request_id)
            status = _STATUSES.get(str((failure.extensions or {}).get("code")), 500)
            return _refusal(request, status, failure, {})

    @cached_property
    def page(self) -> str:
        """GraphiQL."""
        return self.graphql_ide_html

    @staticmethod
    def _wants_page(request: Request) -> bool:
        """Whether a browser asks for the page itself: it needs no key, its queries do."""
        return (
            request.method == "GET"
            and not {"query", "documentId", "extensions"} & request.query_params.keys()
            and "text/html" in request.headers.get("accept", "")
        )

    def should_render_graphql_ide(self, request: Any) -> bool:  # noqa: ARG002
        """Never: it is done before the key is asked for."""
        return False

    async def get_sub_response(self, request: Request | WebSocket) -> Response:
        return Response(media_type=media_type(request.headers.get("accept", "")))

    # --- Executing ---------------------------------------------------------------------------------------------

    async def parse_http_body(self, request: AsyncHTTPRequestAdapter) -> GraphQLRequestData:
        asked = await asked_by(request)
        streamed = wants_stream(request.headers.get("accept", ""))
        transport = self._get_stream_transport_from_headers(request.headers) if streamed else None
        return GraphQLRequestData(
            query=self.documents.text_of(asked),
            variables=asked.get("variables"),
            operation_name=asked.get("operationName") or None,
            extensions=asked.get("extensions"),
            protocol=transport.protocol if transport else "http",
        )

    async def execute_operation(  # type: ignore[override]
        self,
        request: Request,  # noqa: ARG002
        request_adapter: AsyncHTTPRequestAdapter,
        request_data: GraphQLRequestData,
        context: Operation,
        root_value: None,  # noqa: ARG002
        sub_response: Response,  # noqa: ARG002
    ) -> ExecutionResult | AsyncGenerator[Any, None]:
        allowed = {OperationType.QUERY}
        if request_adapter.method == "POST":
            allowed.add(OperationType.MUTATION)
        asked: dict[str, Any] = {
            "variable_values": request_data.variables,
            "context_value": context,
            "operation_name": request_data.operation_name,
        }
        if transport := self._get_stream_transport(request_data.protocol):
            types = transport.allowed_operation_types({*allowed, OperationType.SUBSCRIPTION})
            wanted = Asked(request_data.query or "", request_data.variables, request_data.operation_name, types)
            return self._while_valid(context, self.fanout.results(wanted, context))
        try:
            return await self.schema.execute(request_data.query, **asked, allowed_operation_types=allowed)
        except CannotGetOperationTypeError as error:
            raise HTTPException(400, error.as_http_error_reason()) from None
        except MissingQueryError:
            raise HTTPException(400, NO_QUERY) from None
        except InvalidOperationTypeError as error:
            raise _wrong_way(error.operation_type) from None

    async def _while_valid(self, context: Operation, results: AsyncGenerator[Any, None]) -> AsyncGenerator[Any, None]:
        """Results until they end, the database is away or the key is revoked, which is told as the last one."""
        step: asyncio.Future[Any] | None = None
        revoked, over = False, object()

        def revoke() -> None:
            nonlocal revoked
            revoked = True
            if step is not None:
                step.cancel()

        with self.keys.holding(context.caller.api_key.id, revoke):
            async with aclosing(results):
                while not revoked:
                    step = asyncio.ensure_future(anext(results, over))
                    try:
                        shown = await step
                    except asyncio.CancelledError:
                        if not revoked:
                            raise
                        break
                    if shown is over:
                        return
                    if is_cut_short(shown.result):
                        yield ExecutionResult(data=None, errors=shown.result.errors)
                        return
                    yield shown.result
                yield ExecutionResult(data=None, errors=[_revoked(context)])

    async def process_result(self, request: Request, result: ExecutionResult) -> GraphQLHTTPResponse:  # noqa: ARG002
        """A result as it is sent; without `data` when nothing was executed."""
        return as_json(result)  # type: ignore[return-value]

    def create_response(
        self, response_data: GraphQLHTTPResponse | list[GraphQLHTTPResponse], sub_response: Response
    ) -> Response:
        refused = "data" not in response_data and sub_response.media_type == GRAPHQL_RESPONSE
        return _response(response_data, 400 if refused else 200, str(sub_response.media_type))

    async def create_streaming_response(
        self,
        request: Request | WebSocket,  # noqa: ARG002
        stream: Callable[[], AsyncIterator[str]],
        sub_response: Response,  # noqa: ARG002
        headers: Mapping[str, str],
    ) -> Response:
        return StreamingResponse(stream(), headers=headers)

    def encode_json(self, data: object) -> bytes:
        return orjson.dumps(data)


def _wrong_way(type_: OperationType) -> HTTPException:
    if type_ is OperationType.SUBSCRIPTION:
        return HTTPException(400, "A subscription needs a WebSocket, or Accept: text/event-stream, or multipart/mixed.")
    return HTTPException(405, "A mutation must be sent by POST.")


def _revoked(context: Operation) -> GraphQLError:
    return of_exception(Unauthenticated("This API key was revoked or has expired."), context.request_id)


def _host(connection: HTTPConnection) -> str | None:
    return connection.client.host if connection.client else None


def _too_many(connection: HTTPConnection, error: GraphQLError) -> Response:
    retry_after = str((error.extensions or {})["retryAfter"])
    return _refusal(connection, 429, error, {"retry-after": retry_after})


def _request_error_status(request: Request) -> int:
    """The status of an answer without `data`: plain JSON alone tells of it under 200."""
    accept = request.headers.get("accept", "")
    return 400 if wants_stream(accept) or media_type(accept) == GRAPHQL_RESPONSE else 200


def _refusal(request: HTTPConnection, status: int, error: GraphQLError, headers: Mapping[str, str]) -> Response:
    kind = media_type(request.headers.get("accept", ""))
    return _response({"errors": [error.formatted]}, status, kind, headers)


def _response(answer: object, status: int, kind: str, headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(answer), status, headers, f"{kind}; charset=utf-8")
