"""Feeds mutated packets to whole connections and to every decoder, until the time is up.

    uv run python tests/fuzz/fuzz_wire.py --seconds 600 --seed 1

What must hold whatever comes: nothing but the documented refusals is raised, an outbox stays within
its bounds, and a connection that is over leaves nothing behind. A failure prints the seed of its
round and its messages; `--seed` with that number begins with that round.
"""

from __future__ import annotations

import argparse
import logging
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

import anyio
import anyio.lowlevel
import msgspec

from lbproto.connection.base import Connection
from lbproto.connection.engineio import EngineConnection
from lbproto.connection.plain import PlainConnection
from lbproto.connection.runtime import Runtime
from lbproto.connection.socketio import SocketIO
from lbproto.errors import InvalidRequest
from lbproto.frame import Frame, Message
from lbproto.transport import CloseCode, Peer, Transport
from lbproto.wire import Arguments, Inbound, ProtocolError, Refused, Settings, Socket
from lbproto.wire.engineio import decode_payload, encode_payload
from lbproto.wire.plain import PLAIN_JSON, PLAIN_MSGPACK

NAMESPACES = frozenset({"/", "/ws", "/third"})
SETTINGS = Settings(max_payload=20_000, max_queued_frames=64, max_queued_bytes=100_000)
REPORT_SECONDS = 10
MAX_MESSAGE = 3 * SETTINGS.max_payload  # repeated repetition would grow without end

_pack = msgspec.msgpack.encode
_UNDEFINED = msgspec.msgpack.Ext(0, b"\x00")

# Real packets, to begin with: each wire's, well-formed.
ENGINE: list[Message] = ["2", "3", "4", "5", "6", "1", "2probe", "0{}", b"", b"\x00\x01"]
SOCKETIO: list[Message] = [
    '40{"token":"a"}',
    "40",
    "40/ws,",
    '40/third?q=1,{"token":"a"}',
    "40/none,",
    '42["echo",{"a":[1,2,{"b":null}]}]',
    '4217["echo",1,"2",{"3":[true]}]',
    '42/ws,5["echo"]',
    '451-["echo",{"_placeholder":true,"num":0}]',
    '452-7["echo",{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}]',
    b"\x01\x02\x03",
    "431[1]",
    "461-2[]",
    "41",
    "41/ws,",
    '44{"message":"no"}',
    '42["bytes",' + "[" * 600 + "]" * 600 + "]",
]
MSGPACK: list[Message] = [
    _pack({"type": 0, "nsp": "/", "data": {"token": "a"}}),
    _pack({"type": 0, "nsp": "/", "data": _UNDEFINED}),
    _pack({"type": 2, "nsp": "/", "data": ["echo", {"a": _UNDEFINED, "b": [_UNDEFINED]}], "id": 3}),
    _pack({"type": 2, "nsp": "/", "data": ["echo", b"bytes"], "options": {"compress": True}}),
    _pack({"type": 3, "nsp": "/", "data": [1], "id": 1}),
    _pack({"type": 1, "nsp": "/"}),
]
PLAIN: list[Message] = [
    '{"event":"authenticate","data":{"token":"a"},"id":1}',
    '{"event":"echo","data":{"a":1},"id":"x"}',
    '{"event":"echo"}',
    '{"event":"echo","data":null,"id":null}',
    _pack({"event": "authenticate", "data": {"token": "a"}}),
    _pack({"event": "echo", "data": {"a": [1, None, b"x"]}, "id": 7}),
    _pack({"event": "echo", "data": _UNDEFINED}),
]
TOKENS = ["", "/", ",", "-", "[", "]", "{", "}", '"', "\\", "\x1e", "\ud800", "\x00", "é", "9" * 20]


Text = TypeVar("Text", str, bytes)


class Echo:
    """The program on the port: sends back what it gets."""

    async def authenticate(self, socket: Socket, auth: Arguments) -> None:
        try:
            token = auth.first(dict).get("token")
        except InvalidRequest as refusal:
            raise Refused(refusal.message) from None
        if token == "b":
            raise Refused("no", {"code": "UNAUTHORIZED"})

    async def opened(self, socket: Socket) -> None:
        socket.emit("welcome", socket.sid)

    async def event(self, socket: Socket, inbound: Inbound) -> None:
        try:
            values = inbound.arguments.values()
            inbound.arguments.first(dict)
        except InvalidRequest as refusal:
            socket.emit("error", {"message": refusal.message})
            return
        socket.emit("echo", *values)
        if inbound.id is not None:
            socket.acknowledge(inbound.id, *values)

    def acknowledged(self, socket: Socket, request: int, arguments: Arguments) -> None:
        """Nothing here asks for an acknowledgement; a client may send one all the same."""

    def closed(self, socket: Socket, reason: str) -> None:
        """Nothing to clean up."""


class Sink(Transport):
    """A peer that reads everything and keeps nothing."""

    async def send(self, frames: Sequence[Frame]) -> None:
        for frame in frames:
            for message in frame.messages:
                assert isinstance(message, str | bytes)

    async def close(self, code: CloseCode, reason: str) -> None:
        """Nothing to close."""


class Mutator:
    """Makes messages out of well-formed ones; the same seed makes the same."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - repeatable is the point

    def conversation(self, corpus: Sequence[Message]) -> list[Message]:
        """What one peer sends."""
        chance = self._random
        return [self._message(corpus) for _ in range(chance.randint(1, 12))]

    def _message(self, corpus: Sequence[Message]) -> Message:
        message = self._random.choice(corpus)
        for _ in range(self._random.choice((0, 0, 1, 1, 2, 5))):
            message = self._mutate(message, corpus)[:MAX_MESSAGE]
        return message

    def _mutate(self, message: Message, corpus: Sequence[Message]) -> Message:
        chance = self._random
        if not message or chance.random() < 0.03:
            return chance.choice((b"", "", chance.randbytes(chance.randint(0, 40))))
        at, end = sorted(chance.choices(range(len(message) + 1), k=2))
        kind = chance.randrange(5)
        if isinstance(message, str):
            other = chance.choice([text for text in corpus if isinstance(text, str)] or [""])
            inserted = chance.choice([*TOKENS, other, chr(chance.randrange(0x110000))])
            return self._splice(message, at, end, kind, inserted)
        return self._splice(message, at, end, kind, chance.randbytes(chance.randint(1, 6)))

    def _splice(self, whole: Text, at: int, end: int, kind: int, inserted: Text) -> Text:
        if kind == 0:
            return whole[:at] + whole[end:]
        if kind == 1:
            return whole[:at] + inserted + whole[at:]
        if kind == 2:
            return whole[:at] + inserted + whole[end:]
        if kind == 3:
            return whole[:at]
        return whole[:end] + whole[at:end] * self._random.choice((1, 3, 200)) + whole[end:]


Open = Callable[[Runtime], Connection]


def _engine(runtime: Runtime, *, websocket: bool) -> Connection:
    open_sockets = partial(SocketIO, handler=Echo(), namespaces=NAMESPACES)
    return EngineConnection(runtime, Peer(), open_sockets, Sink() if websocket else None)


WIRES: list[tuple[list[Message], Open]] = [
    (ENGINE + SOCKETIO, partial(_engine, websocket=True)),
    (SOCKETIO, partial(_engine, websocket=True)),
    (SOCKETIO, partial(_engine, websocket=False)),
    (MSGPACK, partial(_engine, websocket=True)),
    (PLAIN, lambda runtime: PlainConnection(runtime, Peer(), Sink(), Echo(), PLAIN_JSON, None)),
    (PLAIN, lambda runtime: PlainConnection(runtime, Peer(), Sink(), Echo(), PLAIN_MSGPACK, "a")),
]


async def round_of(seed: int, runtime: Runtime) -> int:
    """One round: a conversation on each wire.

    Returns:
        How many messages it had.

    Raises:
        AssertionError: what must hold does not.
    """
    mutator, count = Mutator(seed), 0
    for corpus, open_connection in WIRES:
        messages = mutator.conversation(corpus)
        count += len(messages)
        try:
            await _converse(open_connection(runtime), messages)
            _decode_payload(messages)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error!r} after {messages!r}") from error
        if runtime.connections or runtime.engines:
            raise AssertionError(f"seed {seed}: something is left after {messages!r}")
    return count


async def _converse(connection: Connection, messages: Sequence[Message]) -> None:
    for message in messages:
        connection.receive(message)
        await connection.work()
        outbox = connection.outbox
        assert len(outbox) <= SETTINGS.max_queued_frames
        assert len(outbox) <= 1 or outbox.queued_bytes <= SETTINGS.max_queued_bytes
    connection.lost("the round is over")


def _decode_payload(messages: Sequence[Message]) -> None:
    """The same as a polling body, which is not a connection's to split."""
    body = encode_payload(messages).encode(errors="surrogatepass")
    try:
        decoded = decode_payload(body)
    except ProtocolError:
        return
    assert all(isinstance(packet, str | bytes) for packet in decoded)


class _Complaints(logging.Handler):
    """An exception that a connection caught and logged is a failure too."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info is not None:
            raise AssertionError(record.getMessage()) from record.exc_info[1]


def _seeds(first: int, seconds: float) -> Iterator[int]:
    end = time.monotonic() + seconds
    seed = first
    while time.monotonic() < end:
        yield seed
        seed += 1


async def fuzz(first: int, seconds: float) -> int:
    """Run rounds until the time is up, and say how it goes.

    Returns:
        How many messages there were.
    """
    logging.getLogger("lbproto").addHandler(_Complaints())
    runtime = Runtime(SETTINGS)
    messages = rounds = 0
    report_at = began = time.monotonic()
    async with runtime.run():
        for seed in _seeds(first, seconds):
            messages += await round_of(seed, runtime)
            rounds += 1
            if rounds % 50 == 0:
                await anyio.lowlevel.checkpoint()  # the writer's turn
            if time.monotonic() >= report_at:
                report_at += REPORT_SECONDS
                passed = time.monotonic() - began
                print(f"{passed:5.0f} s  seed {seed}  {messages:,} messages", flush=True)
    print(f"clean: {rounds:,} rounds, {messages:,} messages, seeds from {first}")
    return messages


def main() -> int:
    """Read the command line; the exit code is 1 for a failure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    try:
        anyio.run(fuzz, options.seed, options.seconds)
    except AssertionError as failure:
        print(f"FAILED {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
