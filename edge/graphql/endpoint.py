"""GraphQL over HTTP and WebSocket, at one path.

Source: "GraphQL over HTTP" (draft); for the rest `edge.graphql.stream` and `edge.graphql.socket`.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from typing import Any, Final, Self

import orjson
from graphql import GraphQLError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types import ExecutionResult
from strawberry.types.graphql import OperationType

from edge.compression import compressed
from edge.graphql import response
from edge.graphql.cookie import SessionCookies
from edge.graphql.keys import KeyWatch
from edge.graphql.rate_limit import RateLimits
from edge.graphql.request import GRAPHQL_RESPONSE, asked_by, bounded, media_type
from edge.graphql.socket import SocketHandler
from edge.graphql.socket_transport import Socket, SocketAdapter
from edge.graphql.stream import EVENT_STREAM, Stream, framing_of
from errors import RateLimitedError, UnauthenticatedError
from execution.documents import is_subscription, mutations_in
from execution.errors import of_exception
from execution.limits import COMPLEXITY
from execution.persisted import DocumentRefusedError, PersistedDocuments, TrustedDocuments
from execution.results import as_json
from execution.schema import schema
from execution.shared import Fanout
from execution.shown import Asked, Shown
from execution.shown import Send as SendShown
from models.instant import from_epoch
from models.session import Session
from resolvers.auth import Credential, authenticate
from resolvers.context import Services, Window
from resolvers.event import number_of
from schema.context import Operation, new_request_id
from schema.scalars import print_instant

INIT_TIMEOUT: Final = timedelta(seconds=5)

_ALLOW: Final = {"allow": "GET, POST"}


class GraphQLEndpoint(GraphQL[Operation, None]):
    """The ASGI endpoint of `Route("/graphql", …)` and `WebSocketRoute("/graphql", …)`.

    It is used within `async with endpoint:`.
    """

    websocket_adapter_class = SocketAdapter
    graphql_transport_ws_handler_class = SocketHandler

    def __init__(
        self,
        services: Services,
        *,
        allowed_origins: Sequence[str],
        rate_limits: RateLimits,
        documents: PersistedDocuments | TrustedDocuments,
        introspection: bool,
        graphiql: bool,
        cookies: SessionCookies | None,
        graphiql_path: Callable[[], str | None],
        count_query: Callable[[str], None],
    ) -> None:
        super().__init__(
            schema,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,),
            connection_init_wait_timeout=INIT_TIMEOUT,
            allowed_origins=allowed_origins,
        )
        self._services = services
        self._running: set[asyncio.Task[Any]] = set()
        self.keys = KeyWatch()
        self.fanout = Fanout()
        self.documents = documents
        self._rate_limits = rate_limits
        self._introspection = introspection
        self._graphiql = graphiql
        self._cookies = cookies
        self.graphiql_path = graphiql_path
        self._count_query = count_query

    async def __aenter__(self) -> Self:
        """Start watching the keys of open connections."""
        self._services.feed.check_keys_with(self.keys.check)
        await self.keys.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let mutations that still run finish."""
        await asyncio.gather(*self._running, return_exceptions=True)
        await self.keys.__aexit__()

    def is_websocket_origin_allowed(self, request: WebSocket, origin: str) -> bool:
        """Accept pages of this server, at any of its names, and pages of the allowed origins."""
        is_own = self._cookies is not None and self._cookies.own.is_same(request)
        return is_own or super().is_websocket_origin_allowed(request, origin)

    def session_of(self, socket: Socket) -> Session | None:
        """The session of the page that opened a socket."""
        return None if self._cookies is None else self._cookies.of_socket(socket)

    async def operation(self, credential: Credential, request_id: str) -> Operation:
        """The context of an operation that begins now.

        Raises:
            UnauthenticatedError: There is no valid API key.
            RateLimitedError: The key was used too often.
        """
        caller = await authenticate(credential)
        self.keys.note(caller.api_key.id)
        await self._rate_limits.count_operation(caller.api_key.id)
        return Operation(
            self._services,
            caller,
            request_id=request_id,
            introspection=self._introspection,
            running=self._running,
            count_query=self._count_query,
        )

    async def count_mutations(self, operation: Operation, query: str, operation_name: str | None) -> None:
        """Count every mutation of an operation but the first, which the operation itself counts as.

        Raises:
            RateLimitedError: The key was used too often.
        """
        more = mutations_in(query, operation_name) - 1
        if more > 0:
            await self._rate_limits.count_operation(operation.caller.api_key.id, more)

    async def count_request(self, connection: HTTPConnection) -> None:
        """Count a request with a valid API key, or one that needs none.

        Raises:
            RateLimitedError: The address was used too often.
        """
        await self._rate_limits.count_request(_host(connection))

    async def count_failure(self, connection: HTTPConnection) -> None:
        """Count a request without a valid API key.

        Raises:
            RateLimitedError: Too many did from this address.
        """
        await self._rate_limits.count_failure(_host(connection))

    async def extensions(self, operation: Operation) -> dict[str, Any]:
        """Return what an operation cost, and how much its API key has left."""
        extensions: dict[str, Any] = {}
        if operation.cost is not None:
            extensions["cost"] = {"requested": operation.cost, "limit": COMPLEXITY.maximum}
        if (standing := await self._rate_limits.standing(operation.caller.api_key.id)) is not None:
            resets_at = print_instant(from_epoch(standing.resets_at))
            extensions["rateLimit"] = {"limit": standing.limit, "remaining": standing.remaining, "resetAt": resets_at}
        return extensions

    # --- Answering ---------------------------------------------------------------------------------------------

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            socket = Socket(scope, receive, send)
            try:
                self._rate_limits.check_address(_host(socket))
            except RateLimitedError as refusal:
                await socket.send_denial_response(response.too_many(socket, of_exception(refusal, new_request_id())))
                return
            await self.run(socket)
            return
        answer = await self._respond(Request(scope, bounded(receive)))
        await answer(scope, receive, send)

    async def _respond(self, request: Request) -> ASGIApp:
        return await self.answered(request, self._asked)

    async def _asked(self, request: Request, request_id: str) -> ASGIApp:
        if request.method not in {"GET", "POST"}:
            raise HTTPException(405, "GraphQL takes GET and POST requests only.", _ALLOW)
        if self._wants_page(request):
            await self.count_request(request)
            if not self._graphiql:
                raise HTTPException(404, "GraphiQL is switched off on this server (FLUXRATE_GRAPHIQL).")
            moved_to = self.graphiql_path()
            return HTMLResponse(self.page) if moved_to is None else RedirectResponse(moved_to, 303)
        credential = self._credential(request)
        operation = await self.operation(credential, request_id)
        await self.count_request(request)
        return await self._answer(request, operation, credential)

    def _credential(self, request: Request) -> Credential:
        """Return the credential: an Authorization header, even an invalid one, takes precedence over a session."""
        authorization = request.headers.get("authorization")
        if authorization is not None or self._cookies is None:
            return authorization
        return self._cookies.of_request(request)

    async def answered(self, request: Request, answer: Callable[[Request, str], Awaitable[ASGIApp]]) -> ASGIApp:
        """Answer a request; turn what is raised into a refusal."""
        request_id = request.scope.get("state", {}).get("request_id") or new_request_id()
        try:
            self._rate_limits.check_address(_host(request))
            return await answer(request, request_id)
        except HTTPException as refusal:
            return response.refused(request, refusal)
        except DocumentRefusedError as refusal:
            return response.unexecuted(request, refusal)
        except RateLimitedError as refusal:
            return response.too_many(request, of_exception(refusal, request_id))
        except UnauthenticatedError as refusal:
            return await self._unauthenticated(request, of_exception(refusal, request_id))
        except ClientDisconnect:
            return Response(status_code=400)  # the client has disconnected
        except Exception as error:
            return response.failed(request, of_exception(error, request_id))

    async def _unauthenticated(self, request: Request, error: GraphQLError) -> Response:
        try:
            await self.count_failure(request)
        except RateLimitedError as refusal:
            return response.too_many(request, of_exception(refusal, new_request_id()))
        return response.unauthenticated(request, error)

    @cached_property
    def page(self) -> str:
        """Strawberry's GraphiQL page, which loads its scripts from the internet."""
        return self.graphql_ide_html

    @staticmethod
    def _wants_page(request: Request) -> bool:
        """Whether a browser requests the page GraphiQL; the page needs no key, its queries do."""
        return (
            request.method == "GET"
            and not {"query", "documentId", "extensions"} & request.query_params.keys()
            and "text/html" in request.headers.get("accept", "")
        )

    # --- Executing ---------------------------------------------------------------------------------------------

    async def _answer(self, request: Request, operation: Operation, credential: Credential) -> ASGIApp:
        members = await asked_by(request)
        query = self.documents.text_of(members)
        if query is None:
            raise HTTPException(400, 'There is no "query" in the request.')
        allowed = {OperationType.QUERY} if request.method == "GET" else {OperationType.QUERY, OperationType.MUTATION}
        asked = Asked(query, members.get("variables"), members.get("operationName") or None, allowed)
        await self.count_mutations(operation, asked.query, asked.operation_name)
        accept = request.headers.get("accept", "")
        framing = framing_of(accept)
        follows = framing is not None and is_subscription(asked.query, asked.operation_name)
        if framing is not None and (framing is EVENT_STREAM or follows):
            asked = replace(asked, allowed={*allowed, OperationType.SUBSCRIPTION})
            last_event_id = request.headers.get("last-event-id")
            results = self._followed(asked, operation, last_event_id)
            session = credential if isinstance(credential, Session) else None
            return Stream(framing, results, operation, self.keys, outlives_key=not follows, session=session)
        kind = media_type(accept)
        result = await self._execute(asked, operation)
        result.extensions = await self.extensions(operation)
        answer = as_json(result)
        takes = "" if operation.tells_secret else request.headers.get("accept-encoding", "")
        body, headers = await compressed(orjson.dumps(answer), takes)
        return response.answer(body, 400 if "data" not in answer and kind == GRAPHQL_RESPONSE else 200, kind, headers)

    def results(self, asked: Asked, operation: Operation, send: SendShown | None = None) -> AsyncGenerator[Shown, None]:
        """Yield an operation's results, like `Fanout.results`; those of queries and mutations also say what it cost."""
        if is_subscription(asked.query, asked.operation_name):
            return self.fanout.results(asked, operation, send)
        return self._with_extensions(asked, operation)

    async def _with_extensions(self, asked: Asked, operation: Operation) -> AsyncGenerator[Shown, None]:
        async with aclosing(self.fanout.results(asked, operation)) as results:
            async for shown in results:
                shown.result.extensions = await self.extensions(operation)
                yield shown

    async def _followed(self, asked: Asked, operation: Operation, after: str | None) -> AsyncGenerator[Shown, None]:
        """Yield the results of an operation; `after` is the cursor of a browser that reconnects."""
        if after:
            operation = operation.within(Window(after=number_of(operation, after)))
        async with aclosing(self.results(asked, operation)) as results:
            async for shown in results:
                yield shown

    @staticmethod
    async def _execute(asked: Asked, operation: Operation) -> ExecutionResult:
        try:
            return await schema.execute(
                asked.query,
                variable_values=asked.variables,
                context_value=operation,
                operation_name=asked.operation_name,
                allowed_operation_types=asked.allowed,
            )
        except CannotGetOperationTypeError as error:
            raise HTTPException(400, error.as_http_error_reason()) from None
        except InvalidOperationTypeError as error:
            raise _wrong_way(error.operation_type) from None


def _wrong_way(type_: OperationType) -> HTTPException:
    if type_ is OperationType.SUBSCRIPTION:
        return HTTPException(400, "A subscription needs a WebSocket, or Accept: text/event-stream, or multipart/mixed.")
    return HTTPException(405, "A mutation must be sent by POST.", _ALLOW)


def _host(connection: HTTPConnection) -> str | None:
    return connection.client.host if connection.client else None
