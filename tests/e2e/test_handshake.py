"""The opening handshake: answered by our protocol class just as uvicorn's own answers it."""

from __future__ import annotations

import base64
import re

import anyio
import httpx
import pytest
from anyio.abc import SocketStream
from websockets.frames import Frame, Opcode

from tests.e2e.clients import SECONDS
from tests.e2e.conftest import Serve
from tests.serving import ServerProcess

pytestmark = pytest.mark.anyio

APP = "tests.e2e.handshakes:app"
KEY = "c2l4dGVlbiBieXRlcyEhIQ=="
PING = Frame(Opcode.PING, b"early").serialize(mask=True, extensions=[])
TEXT = Frame(Opcode.TEXT, b'"early"').serialize(mask=True, extensions=[])


def request(
    target: str = "/",
    *more: str,
    method: str = "GET",
    version: str = "1.1",
    connection: str = "Upgrade",
    upgrade: str = "websocket",
    key: str | None = KEY,
    protocol_version: str = "13",
) -> bytes:
    lines = [
        f"{method} {target} HTTP/{version}",
        "Host: example.test",
        f"Connection: {connection}",
        f"Upgrade: {upgrade}",
        *([] if key is None else [f"Sec-WebSocket-Key: {key}"]),
        f"Sec-WebSocket-Version: {protocol_version}",
        *more,
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


PROTOCOL = "Sec-WebSocket-Protocol"
REQUESTS = {
    "ordinary": request(),
    "query": request("/some/where?token=a%20b&x=%3D"),
    "escaped path": request("/caf%C3%A9/%2F"),
    "firefox": request("/", "Origin: http://a.test", connection="keep-alive, Upgrade"),
    "case": request(connection="upgrade", upgrade="WebSocket"),
    "extension": request("/", "Sec-WebSocket-Extensions: permessage-deflate; x=1"),
    "subprotocol": request("/", f"{PROTOCOL}: one"),
    "subprotocols": request("/", f"{PROTOCOL}: one, two,three"),
    "two headers of subprotocols": request("/", f"{PROTOCOL}: one", f"{PROTOCOL}: two"),
    "no subprotocol": request("/", f"{PROTOCOL}: a b"),
    "empty header": request("/", "X-Nothing:"),
    "spaces": request("/", "X-Spaces:  \t a b \t "),
    "repeated header": request("/", "Cookie: a=1", "Cookie: b=2"),
    "many headers": request("/", *(f"X-{n}: {n}" for n in range(100))),
    "large header": request("/", "X-Large: " + "x" * 7_000),
    "another version": request(protocol_version="8"),
    "no key": request(key=None),
    "a key too short": request(key="c2l4dGVlbg=="),
    "no key at all": request(key="!" * 24),
    "two keys": request("/", f"Sec-WebSocket-Key: {KEY}"),
    "two versions": request("/", "Sec-WebSocket-Version: 13"),
    "POST": request(method="POST"),
    "HTTP/1.0": request(version="1.0"),
    "closed": request("/closed"),
    "answered": request("/answered"),
    "forgotten": request("/forgotten"),
}


@pytest.fixture
def ours(serve: Serve) -> ServerProcess:
    return serve(APP, "uvicorn-direct")


@pytest.fixture
def uvicorns(serve: Serve) -> ServerProcess:
    return serve(APP, "uvicorn-uvloop")


@pytest.mark.parametrize("sent", REQUESTS.values(), ids=REQUESTS)
async def test_it_is_answered_as_by_uvicorn(
    ours: ServerProcess, uvicorns: ServerProcess, sent: bytes
) -> None:
    assert await answered(ours, sent) == await answered(uvicorns, sent)


@pytest.mark.parametrize(
    "more",
    [[f"X-{n}: {n}" for n in range(300)], ["X-Large: " + "x" * 20_000]],
    ids=["too many headers", "too large a header"],
)
async def test_a_request_that_cannot_be_read_is_refused(
    ours: ServerProcess, more: list[str]
) -> None:
    """Uvicorn's own class says nothing, and keeps the connection."""
    status, _, body = await answered(ours, request("/", *more))
    assert status == b"HTTP/1.1 431 Request Header Fields Too Large"
    assert body.startswith(b"Failed to open a WebSocket connection")


async def test_a_header_in_latin_1(ours: ServerProcess) -> None:
    """Not every version of uvicorn's own class can read it."""
    status, _, told = await answered(ours, request("/", "X-Name: \xe9t\xe9"))
    assert status == b"HTTP/1.1 101 Switching Protocols"
    assert base64.b64encode("été".encode("latin-1")) in told


async def test_what_is_sent_before_the_answer_is_not_lost(ours: ServerProcess) -> None:
    async with await anyio.connect_tcp("127.0.0.1", ours.port) as stream:
        await stream.send(request("/slow"))
        await tell(ours, "/asked")  # what is read with the request uvicorn drops
        await stream.send(TEXT + PING + TEXT)
        await tell(ours, "/answer")
        await read_until(stream, rb'(?s)101 .*\{"asgi".*"early".*"early"')


async def test_a_client_that_does_not_wait_for_the_answer(ours: ServerProcess) -> None:
    """That nothing fails over it is seen in the server's log, by the fixture."""
    async with await anyio.connect_tcp("127.0.0.1", ours.port) as stream:
        await stream.send(request("/slow"))
        await tell(ours, "/asked")
    await tell(ours, "/answer")
    async with await anyio.connect_tcp("127.0.0.1", ours.port) as stream:
        await stream.send(request())
        await read_until(stream, rb'(?s)101 .*\{"asgi"')


async def tell(server: ServerProcess, path: str) -> None:
    """Make a request that is answered in its time."""
    async with httpx.AsyncClient(base_url=server.http, timeout=SECONDS) as client:
        assert (await client.get(path)).status_code == 200


async def answered(server: ServerProcess, sent: bytes) -> tuple[bytes, list[bytes], bytes]:
    """Status line, headers in order of name, and what comes behind them."""
    async with await anyio.connect_tcp("127.0.0.1", server.port) as stream:
        await stream.send(sent)
        got = await read_until(stream, rb"(?s)101 .*\}$")
    head, _, rest = got.partition(b"\r\n\r\n")
    status, *headers = head.split(b"\r\n")
    left_out = (b"date:", b"server:")
    shown = sorted(line for line in map(_lower_name, headers) if not line.startswith(left_out))
    return status, shown, rest


def _lower_name(line: bytes) -> bytes:
    name, colon, value = line.partition(b":")
    return name.lower() + colon + value


async def read_until(stream: SocketStream, pattern: bytes) -> bytes:
    """What comes, until it matches or the server ends the connection."""
    got = b""
    with anyio.fail_after(SECONDS):
        while not re.search(pattern, got):
            try:
                got += await stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                break
    return got
