"""Answers over HTTP that nobody reads are not kept for ever."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from edge.server import listen
from edge.server.http import BoundedProtocol

LARGE: Final = 16 * 1024 * 1024
"""More bytes than the kernel takes for a client."""


class Impatient(BoundedProtocol):
    """What serves, with less patience."""

    unread_s = 0.5


async def whole(_: Request) -> Response:
    """A large answer at once."""
    return Response(bytes(LARGE))


async def endless(_: Request) -> Response:
    """An answer that goes on."""

    async def parts() -> AsyncIterator[bytes]:
        while True:
            yield bytes(64 * 1024)
            await asyncio.sleep(0)  # so that it hears that its client has gone

    return StreamingResponse(parts())


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[str, int, uvicorn.Server]]:
    """A real port, and who serves there."""
    bound = listen.bind("127.0.0.1", 0)
    app = Starlette(routes=[Route("/whole", whole), Route("/endless", endless)])
    config = uvicorn.Config(app, http=Impatient, lifespan="off", log_config=None, access_log=False)
    uvicorn_ = uvicorn.Server(config)
    task = asyncio.create_task(uvicorn_.serve(sockets=[bound]))
    while not uvicorn_.started:  # noqa: ASYNC110 - uvicorn sets no event
        await asyncio.sleep(0.01)
    host, port = bound.getsockname()
    yield host, port, uvicorn_
    uvicorn_.should_exit = True
    await task
    bound.close()


def ask(host: str, port: int, path: str, connection: str) -> socket.socket:
    """Ask, and read nothing."""
    asking = socket.create_connection((host, port))
    asking.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: {connection}\r\n\r\n".encode())
    return asking


@pytest.mark.parametrize("connection", ["keep-alive", "close"])
@pytest.mark.parametrize("path", ["/whole", "/endless"])
async def test_who_reads_nothing_is_let_go(path: str, connection: str) -> None:
    async with serving() as (host, port, uvicorn_):
        with ask(host, port, path, connection):
            async with asyncio.timeout(20):
                while not uvicorn_.server_state.connections:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                while uvicorn_.server_state.connections or uvicorn_.server_state.tasks:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)


async def test_who_reads_slowly_is_told_all() -> None:
    async with serving() as (host, port, _):
        reader, writer = await asyncio.open_connection(host, port, limit=64 * 1024)
        writer.write(f"GET /whole HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        read = 0
        while part := await reader.read(1024 * 1024):
            read += len(part)
            await asyncio.sleep(0.01)
        writer.close()

    assert read > LARGE
