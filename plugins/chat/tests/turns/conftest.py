"""A model that says what the test has it say, behind a real socket; and a small catalogue."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import duckdb
import pytest
from anyio.abc import SocketStream

from lbproto_chat.openai_compatible import OpenAICompatible
from lbproto_query import Catalogues, DuckDBEngine


class Scripted:
    """An endpoint that speaks OpenAI's chat completions, by a script.

    A script is a list of steps for each request, the last of which is used again: text is a token,
    bytes are sent as they are, a number is the status of a refusal (with the headers and body of
    `refusal`), an event is waited for, `CUT` closes the connection, None ends the stream in order.

    Attributes:
        script: what is said.
        url: where.
        requests: the bodies that have come.
        closed: how many streams their client has closed early.
        headers: of the last request.
    """

    CUT = object()

    def __init__(self) -> None:
        self.script: list[list[Any]] = []
        self.url = ""
        self.requests: list[Any] = []
        self.headers: dict[str, str] = {}
        self.closed = 0
        self.usage: tuple[int, int] | None = (100, 10)
        self.refusal: tuple[dict[str, str], bytes] = {}, b"{}"
        self.left = anyio.Event()

    def says(self, *rounds: list[Any]) -> None:
        self.script = list(rounds)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Scripted]:
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        port = listener.extra_attributes[anyio.abc.SocketAttribute.local_port]()
        self.url = f"http://127.0.0.1:{port}/v1"
        async with listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, self._serve)
            yield self
            tasks.cancel_scope.cancel()

    async def _serve(self, stream: SocketStream) -> None:
        async with stream:
            data = b""
            try:
                while True:
                    while b"\r\n\r\n" not in data:
                        data += await stream.receive()
                    head, _, data = data.partition(b"\r\n\r\n")
                    lines = head.decode().split("\r\n")[1:]
                    self.headers = dict(line.lower().split(": ", 1) for line in lines)
                    length = int(self.headers["content-length"])
                    while len(data) < length:
                        data += await stream.receive()
                    self.requests.append(json.loads(data[:length]))
                    data = data[length:]
                    steps = self.script.pop(0) if len(self.script) > 1 else self.script[0]
                    if not await self._answer(stream, steps):
                        return
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                pass

    async def _answer(self, stream: SocketStream, steps: list[Any]) -> bool:
        if steps and isinstance(steps[0], int):
            headers, body = self.refusal
            more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            head = f"HTTP/1.1 {steps[0]} No\r\ncontent-length: {len(body)}\r\n{more}\r\n"
            await stream.send(head.encode() + body)
            return True
        await stream.send(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
            b"transfer-encoding: chunked\r\n\r\n"
        )
        goes_on = True
        async with anyio.create_task_group() as tasks:

            async def watch() -> None:
                try:
                    await stream.receive()
                except (anyio.EndOfStream, anyio.BrokenResourceError):
                    nonlocal goes_on
                    goes_on = False
                    self.closed += 1
                    self.left.set()
                    tasks.cancel_scope.cancel()

            tasks.start_soon(watch)
            for step in steps:
                if step is self.CUT:
                    goes_on = False
                    break
                if isinstance(step, anyio.Event):
                    await step.wait()
                elif isinstance(step, bytes):
                    await self._send(stream, step)
                elif step is not None:
                    await self._send(stream, chunk(choices=[{"delta": {"content": step}}]))
            tasks.cancel_scope.cancel()
        if not goes_on:
            return False
        await self._send(stream, chunk(choices=[{"delta": {}, "finish_reason": "stop"}]))
        if self.usage is not None:
            prompt, completion = self.usage
            told = {"prompt_tokens": prompt, "completion_tokens": completion}
            await self._send(stream, chunk(choices=[], usage=told))
        await self._send(stream, b"data: [DONE]\n\n")
        await stream.send(b"0\r\n\r\n")
        return True

    async def _send(self, stream: SocketStream, data: bytes) -> None:
        await stream.send(b"%x\r\n%s\r\n" % (len(data), data))


def chunk(**fields: Any) -> bytes:
    """A chunk as OpenAI's are."""
    body = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", **fields}
    return f"data: {json.dumps(body)}\n\n".encode()


@pytest.fixture
async def scripted() -> AsyncIterator[Scripted]:
    async with Scripted().running() as endpoint:
        yield endpoint


@pytest.fixture
def new_model(scripted: Scripted) -> Callable[..., OpenAICompatible]:
    """Makes clients of the scripted endpoint that lose no time."""

    def make(**options: Any) -> OpenAICompatible:
        return OpenAICompatible(scripted.url, "m", **{"backoff": 0.001, **options})

    return make


@pytest.fixture(scope="session")
def catalogues(tmp_path_factory: pytest.TempPathFactory) -> Catalogues:
    """`default` has `trades`, `bank` has a secret."""
    root = tmp_path_factory.mktemp("catalogues")
    with duckdb.connect() as connection:
        for application, table, rows in (
            (
                "default",
                "trades",
                "SELECT i::INTEGER AS i, 'note ' || i AS note FROM range(5) t(i)",
            ),
            ("bank", "secret", "SELECT 'gold' AS what"),
        ):
            (root / application).mkdir()
            path = root / application / f"{table}.parquet"
            connection.execute(f"COPY ({rows}) TO '{path}'")
    return Catalogues(root)


@pytest.fixture
async def engine(catalogues: Catalogues) -> AsyncIterator[DuckDBEngine]:
    async with DuckDBEngine(catalogues, isolated=False) as engine:
        yield engine
