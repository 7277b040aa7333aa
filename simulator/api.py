"""Everything under /v1: authentication, operations, faults and answers."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from simulator.account import authenticate
from simulator.call import Call
from simulator.errors import StripeError, server_error
from simulator.expansion import EXPAND, expand
from simulator.fault import Fault, FaultKind
from simulator.form import read_params
from simulator.idempotency import Answer, fingerprint
from simulator.ids import new_id
from simulator.operations import Operation, find_operation
from simulator.request_log import ReceivedCall
from simulator.world import World

MAX_SILENCE_S: Final = 600.0
"""How long a call that is never answered is kept waiting."""


class Api:
    """Stripe's API, as one ASGI app."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call, unless a fault leaves it without an answer."""
        request = Request(scope, receive)
        received = self._world.requests.receive(request.method, scope["path"])
        received.idempotency_key = request.headers.get("idempotency-key")
        request_id = new_id("req", 14)
        fault: Fault | None = None
        try:
            self._world.outage.refuse()
            call, operation = await self._identify(request, received)
            fault = self._world.faults.take(request.method, call.path, call.account)
            answer = await _answer(call, operation, received.idempotency_key, request_id, fault)
        except StripeError as error:
            answer = Answer.refusing(error)
        if fault is not None and fault.kind is FaultKind.TIMEOUT:
            await _stay_silent(receive)
            await _hang_up(send)
        elif fault is not None and fault.kind is FaultKind.HANG_UP:
            await _hang_up(send)
        else:
            received.status = answer.status
            await _response(answer, request_id, received.idempotency_key)(scope, receive, send)

    async def _identify(self, request: Request, received: ReceivedCall) -> tuple[Call, Operation]:
        key = authenticate(request.headers.get("authorization"))
        account = self._world.account(key.account_name)
        received.account = account.id
        operation, object_id = find_operation(received.method, received.path)
        params = await read_params(request, json_allowed=operation.json_allowed)
        received.params = params
        key.require(operation.permission)
        base_url = f"{request.url.scheme}://{request.headers.get('host', request.url.netloc)}"
        return Call(account, received.path, object_id, params, base_url), operation


async def _answer(call: Call, operation: Operation, key: str | None, request_id: str, fault: Fault | None) -> Answer:
    if fault is not None and fault.kind is FaultKind.DELAY:
        await asyncio.sleep(fault.delay_s)
    if fault is not None and fault.kind is FaultKind.STATUS_BEFORE:
        raise server_error(fault.status)
    if key is None or operation.method != "POST":
        return _work(call, operation, fault)
    asked = fingerprint(operation.method, call.path, call.params)
    replayed = call.account.idempotency_keys.replay(key, asked)
    if replayed is not None:
        return replayed
    answer = _work(call, operation, fault)
    if answer.is_kept:
        call.account.idempotency_keys.keep(key, asked, answer, request_id)
    return answer


def _work(call: Call, operation: Operation, fault: Fault | None) -> Answer:
    """Carry out a call without interruption: no other call runs meanwhile."""
    params = dict(call.params)
    expanded = EXPAND(params.pop("expand"), "expand") if "expand" in params else []
    try:
        payload = operation.perform(replace(call, params=params))
        body = orjson.dumps(expand(call.account, payload, expanded))
    except StripeError as error:
        return Answer.refusing(error)
    if fault is not None and fault.kind is FaultKind.STATUS_AFTER:
        return replace(Answer.refusing(server_error(fault.status)), is_kept=True)
    return Answer(200, body, is_kept=True)


def _response(answer: Answer, request_id: str, key: str | None) -> Response:
    headers = {"Request-Id": request_id, **answer.headers}
    if key is not None and key.isascii() and key.isprintable():
        headers["Idempotency-Key"] = key
    return Response(answer.body, answer.status, headers, media_type="application/json")


async def _stay_silent(receive: Receive) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(MAX_SILENCE_S):
            while (await receive())["type"] != "http.disconnect":
                continue


async def _hang_up(send: Send) -> None:
    """Announce a body but send none, so that the server closes the connection."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})
