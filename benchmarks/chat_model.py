"""A model that streams as fast as it is told to: what `benchmarks.chat` has answers from.

    python -m benchmarks.chat_model RATE

Prints its port. Each token says whose it is, its number, and when it was written (monotonic
nanoseconds, the same in every process of a machine): `c17:5:123456789 `. It streams for as long as
it is read.
"""

from __future__ import annotations

import asyncio
import json
import sys
from time import monotonic_ns
from typing import cast

import uvloop

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


class Endpoint(asyncio.Protocol):
    """One connection, for one answer.

    Args:
        pause: seconds between two tokens.
    """

    def __init__(self, pause: float) -> None:
        self._pause = pause
        self._loop = asyncio.get_running_loop()
        self._received = bytearray()
        self._number = 0
        self._whose = ""
        self._due = 0.0
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are none by class

    def data_received(self, data: bytes) -> None:
        self._received += data
        _, found, body = self._received.partition(b"\r\n\r\n")
        if not found or self._whose:
            return
        try:
            request = json.loads(body)
        except ValueError:  # not all of it yet
            return
        self._whose = request["messages"][-1]["content"]
        self._transport.write(_HEAD)
        self._due = self._loop.time()
        self._say()

    def _say(self) -> None:
        if self._transport.is_closing():
            return
        text = f"{self._whose}:{self._number}:{monotonic_ns()} "
        chunk = {
            "id": "c",
            "object": "chat.completion.chunk",
            "choices": [{"delta": {"content": text}}],
        }
        event = b"data: %s\n\n" % json.dumps(chunk).encode()
        self._transport.write(b"%x\r\n%s\r\n" % (len(event), event))
        self._number += 1
        self._due += self._pause
        self._loop.call_at(self._due, self._say)


async def _serve(rate: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Endpoint(1 / rate), "127.0.0.1", 0, backlog=1_000)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(float(sys.argv[1])))
