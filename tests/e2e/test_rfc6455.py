"""Our protocol class for uvicorn against RFC 6455: the cases of the Autobahn fuzzing client."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.abc import SocketStream
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import CLIENT, Protocol, State

from tests.e2e.autobahn import CASES, CLOSE, Case
from tests.e2e.conftest import Serve
from tests.serving import ServerProcess

pytestmark = pytest.mark.anyio

SECONDS = 60
RESET = Frame(Opcode.CLOSE, b"")
_FAILURES = (1002, 1007)  # after which a server reads no more
_KEY = base64.b64encode(b"sixteen bytes!!!").decode()
_ACCEPT = base64.b64encode(
    hashlib.sha1(f"{_KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()  # noqa: S324 - the RFC's
).decode()


@pytest.fixture(params=["uvicorn-direct"])
def echo(request: pytest.FixtureRequest, serve: Serve) -> ServerProcess:
    return serve("tests.e2e.echoing:app", request.param)


@asynccontextmanager
async def connected(server: ServerProcess) -> AsyncIterator[SocketStream]:
    """A TCP connection after the handshake."""
    async with await anyio.connect_tcp("127.0.0.1", server.port) as stream:
        lines = [
            "GET / HTTP/1.1",
            f"Host: 127.0.0.1:{server.port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {_KEY}",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Extensions: permessage-deflate",
        ]
        await stream.send("\r\n".join([*lines, "", ""]).encode())
        head = b""
        while b"\r\n\r\n" not in head:
            head += await stream.receive()
        assert head.startswith(b"HTTP/1.1 101")
        assert _ACCEPT.encode() in head
        assert b"sec-websocket-extensions" not in head.lower()
        yield stream


async def _send(stream: SocketStream, pieces: Sequence[bytes]) -> None:
    try:
        for piece in pieces:
            await stream.send(piece)
    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
        pass  # a server that has refused a frame need not take the next


async def _frames(stream: SocketStream) -> AsyncIterator[Frame]:
    """Every frame until the server ends the connection, by the library that clients use."""
    client = Protocol(CLIENT, max_size=None)
    try:
        async for data in stream:
            client.receive_data(data)
            for frame in client.events_received():
                assert isinstance(frame, Frame)
                yield frame
    except (
        anyio.BrokenResourceError
    ):  # because of what we still sent; its close may be lost by that
        if client.state is State.OPEN:
            yield RESET


async def talk(server: ServerProcess, case: Case) -> list[Frame]:
    """Go through a case; what came back."""
    frames: list[Frame] = []

    async def say() -> None:
        await _send(stream, case.sent)
        said.set()

    async with connected(server) as stream, anyio.create_task_group() as tasks:
        said = anyio.Event()
        tasks.start_soon(say)
        with anyio.fail_after(SECONDS):
            if not case.got:
                await said.wait()
                await _send(stream, [CLOSE])
            async for frame in _frames(stream):
                frames.append(frame)
                if len(frames) == len(case.got):
                    await said.wait()
                    await _send(stream, [CLOSE])
    return frames


def _speaks_on(case: Case) -> bool:
    """Whether the client sends something behind its close: then ours may be lost by that."""
    return any(frame[:1] == b"\x88" for frame in case.sent[:-1])


@pytest.mark.parametrize("case", CASES, ids=[case.number for case in CASES])
async def test_autobahn(echo: ServerProcess, case: Case) -> None:
    *frames, last = await talk(echo, case)
    got = [(frame.opcode, bytes(frame.data)) for frame in frames]
    assert all(frame.fin for frame in frames)
    if case.lenient:
        assert got == list(case.got)[: len(got)]
    else:
        assert got == list(case.got)
    assert last.opcode is Opcode.CLOSE
    if last is RESET:
        assert case.code in _FAILURES or _speaks_on(case)
    elif case.code is None:
        assert last.data == b""
    else:
        assert Close.parse(bytes(last.data)).code == case.code
