"""What streamed answers cost: many conversations at once, from a model that talks at a fixed pace.

    python -m benchmarks.chat [--quick] [--conversations N] [--rate TOKENS] [--seconds S]

Three processes: the model (`benchmarks.chat_model`), the server (`benchmarks.chat_server`), and
this one, which has a plain WebSocket for each conversation. Every token says whose it is, its
number, and when the model wrote it. So a token that is missing, comes twice or is another's is
seen; and the delay is all that is between the model's write and this process's reading, its own
share included. `beside` has the same tokens read from the model without the server between.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from statistics import quantiles
from time import monotonic_ns
from typing import NamedTuple

import psutil
import uvloop
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from benchmarks.servers import free_port
from lbproto_chat import Message
from lbproto_chat.openai_compatible import OpenAICompatible

__all__ = ["Heard", "main", "measure"]


class Heard:
    """What came of all conversations while it was listened to.

    Attributes:
        delays: of each token, in milliseconds.
        frames: that brought them.
        wrong: tokens that are not the next one of their conversation.
    """

    def __init__(self) -> None:
        self.delays: list[float] = []
        self.frames = 0
        self.wrong = 0
        self._next: dict[str, int] = {}

    def take(self, conversation: str, text: str) -> None:
        """Look at a delta of a conversation."""
        now = monotonic_ns()
        self.frames += 1
        for token in text.split():
            whose, number, written = token.split(":")
            expected = self._next.get(conversation, 0)
            self.wrong += whose != conversation or int(number) != expected
            self._next[conversation] = expected + 1
            self.delays.append((now - int(written)) / 1e6)

    async def begin(self, conversations: int, warm: float) -> None:
        """Begin to listen, once all of them speak and have for a while: that is not counted."""
        async with asyncio.timeout(60):
            while len(self._next) < conversations:  # noqa: ASYNC110 - they are not our tasks
                await asyncio.sleep(0.05)
        await asyncio.sleep(warm)
        self.delays.clear()
        self.frames = 0


class Result(NamedTuple):
    """What was measured; the server's part is of the time that was listened to.

    Attributes:
        heard: by the clients of the server.
        beside: by clients of the model itself.
        cpu: seconds that the server's process has used.
        seconds: how long it was.
    """

    heard: Heard
    beside: Heard
    cpu: float
    seconds: float


async def measure(conversations: int, rate: float, seconds: float, warm: float) -> Result:
    """Have so many conversations at once, and listen.

    Args:
        rate: tokens a second, of each.
        seconds: how long it is listened to.
        warm: seconds before that.
    """
    with _process("benchmarks.chat_model", str(rate)) as model:
        assert model.stdout is not None  # noqa: S101 - it is a pipe
        model_port = int(model.stdout.readline())
        beside, heard = Heard(), Heard()
        async with _reading_model(model_port, conversations, beside):
            await beside.begin(conversations, warm)
            await asyncio.sleep(seconds / 2)
        port = free_port()
        with _process("benchmarks.chat_server", str(port), str(model_port)) as server:
            process = psutil.Process(server.pid)
            async with _reading_server(port, conversations, heard):
                await heard.begin(conversations, warm)
                began, before = monotonic_ns(), sum(process.cpu_times()[:2])
                await asyncio.sleep(seconds)
                cpu = sum(process.cpu_times()[:2]) - before
                passed = (monotonic_ns() - began) / 1e9
    return Result(heard, beside, cpu, passed)


@contextmanager
def _process(module: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@asynccontextmanager
async def _reading_model(port: int, count: int, heard: Heard) -> AsyncIterator[None]:
    async def read(conversation: str) -> None:
        messages = [Message("user", conversation)]
        async with model.stream(messages, max_tokens=1_000_000) as stream:
            async for text, _ in stream:
                heard.take(conversation, text)

    async with OpenAICompatible(f"http://127.0.0.1:{port}/v1", "m") as model:
        tasks = [asyncio.create_task(read(f"c{number}")) for number in range(count)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def _reading_server(port: int, count: int, heard: Heard) -> AsyncIterator[None]:
    async def read(conversation: str) -> None:
        socket = await _connected(port, conversation)
        ask = {"conversationId": conversation, "message": conversation}
        await socket.send(json.dumps({"event": "chat", "data": ask}))
        async for frame in socket:
            event = json.loads(frame)
            data = event["data"]
            if event["event"] == "chat_message":
                heard.take(conversation, data["delta"])
                heard.wrong += data["conversationId"] != conversation
            elif event["event"] not in ("connected", "chat_typing"):
                raise RuntimeError(frame)

    tasks = [asyncio.create_task(read(f"c{number}")) for number in range(count)]
    try:
        yield
    finally:
        failed = [task.exception() for task in tasks if task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if failed:
            raise RuntimeError(f"{len(failed)} conversations have ended: {failed[0]!r}")


async def _connected(port: int, user: str) -> ClientConnection:
    protocols = [Subprotocol("lbproto.v1.json"), Subprotocol(f"bearer.{user}")]
    for _ in range(100):  # until it serves
        try:
            return await connect(
                f"ws://127.0.0.1:{port}/ws", subprotocols=protocols, compression=None
            )
        except OSError:
            await asyncio.sleep(0.1)
    raise RuntimeError("the server does not serve")


def _delays(name: str, heard: Heard) -> str:
    cuts = quantiles(heard.delays, n=100)
    most = max(heard.delays)
    return f"{name:<24} p50 {cuts[49]:7.1f} ms  p99 {cuts[98]:7.1f} ms  max {most:7.1f} ms"


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chat", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="to see that it works")
    parser.add_argument("--conversations", type=int, default=None)
    parser.add_argument("--rate", type=float, default=50.0, help="tokens a second, of each (50)")
    parser.add_argument("--seconds", type=float, default=None)
    options = parser.parse_args(arguments)
    count = options.conversations or (20 if options.quick else 200)
    seconds = options.seconds or (1.0 if options.quick else 15.0)
    result = uvloop.run(measure(count, options.rate, seconds, 0.5 if options.quick else 5.0))
    heard = result.heard
    tokens = len(heard.delays)
    print(f"{count} conversations, {options.rate:g} tokens/s each, {result.seconds:.1f} s")
    print(
        f"{tokens / result.seconds:,.0f} tokens/s in {heard.frames / result.seconds:,.0f} deltas/s"
    )
    print(
        f"{result.cpu / result.seconds:.0%} of a core: "
        f"{result.cpu / heard.frames * 1e6:.0f} µs a delta"
    )
    print(_delays("through the server", heard))
    print(_delays("straight from the model", result.beside))
    print(
        f"{heard.wrong + result.beside.wrong} tokens missing, repeated or of another conversation"
    )
    if heard.wrong or result.beside.wrong:
        sys.exit(1)


if __name__ == "__main__":
    main()
