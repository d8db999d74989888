"""A second fuzzer: connections in a storm of time, slowness and bad messages, and every decoder.

    uv run python tests/fuzz/fuzz_connections.py --seconds 600
    uv run python tests/fuzz/fuzz_connections.py --seed 7 --only 1234    # one execution again

What must hold, whatever comes in: a decoder gives a packet or one of its documented errors; a
connection's queues stay within their bounds; a program is told of the end of every socket that it
was told of the beginning of; nothing is logged as our fault; and a connection that is over leaves
nothing behind.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from random import Random
from typing import Any

import anyio
import msgspec
from msgspec import Raw

from lbproto import Event
from lbproto.errors import InvalidRequest
from lbproto.frame import Message
from lbproto.wire import ProtocolError, Settings
from lbproto.wire.arguments import JSONArguments, MsgpackArguments
from lbproto.wire.attachments import extract, restore
from lbproto.wire.engineio import Engine, decode_payload
from lbproto.wire.msgpack import MsgpackDecoder, without_undefined
from lbproto.wire.plain import PLAIN_JSON, PLAIN_MSGPACK
from lbproto.wire.socketio import JSONDecoder
from tests.fuzz.mutate import Mutator
from tests.fuzz.storm import SETTINGS, storm
from tests.wire.kit import running

__all__ = ["Failure", "fuzz"]

PROGRESS_SECONDS = 10.0


class Failure(Exception):
    """An execution broke a rule; the message says how to run it again."""


class Typed(Event):
    """What a request is decoded into: a field of each kind."""

    room: str
    n: int | None = None
    tags: list[str] | None = None
    blob: bytes = b""
    more: dict[str, Any] | None = None


# Decoders: each takes a mutator and notes what it feeds, so that a failure can show it.

Fed = list[Any]


def _told(reason: str, most: int) -> None:
    assert 0 < len(reason) <= most


def _arguments(arguments: Any) -> None:
    for read in (arguments.values, *(partial(arguments.first, t) for t in (dict, Typed, list))):
        try:
            read()
        except InvalidRequest as refusal:
            _told(refusal.message, 500)


def _socketio(mutator: Mutator, fed: Fed) -> None:
    decoder = JSONDecoder(SETTINGS)
    for _ in range(mutator.random.randrange(1, 8)):
        message = mutator.socketio()
        if isinstance(message, str):
            message = message[1:]
        fed.append(message)
        try:
            packet = decoder.receive(message)
        except ProtocolError as error:
            _told(str(error), 123)  # it is the reason in a close frame
            return
        assert len(decoder._buffers) < SETTINGS.max_attachments
        if packet is not None:
            _arguments(packet.arguments)


def _msgpack(mutator: Mutator, fed: Fed) -> None:
    fed.append(mutator.msgpack())
    try:
        packet = MsgpackDecoder().receive(fed[-1])
    except ProtocolError:
        return
    _arguments(packet.arguments)


def _plain(mutator: Mutator, fed: Fed) -> None:
    for format_, make in ((PLAIN_JSON, mutator.plain), (PLAIN_MSGPACK, mutator.plain_msgpack)):
        fed.append(make())
        try:
            request = format_.decode(fed[-1])
        except InvalidRequest as refusal:
            _told(refusal.message, 500)
            continue
        _arguments(request.arguments)
        if request.id is not None:
            format_.acknowledgement(request.id, ({"ok": True},))


def _payload(mutator: Mutator, fed: Fed) -> None:
    fed.append(mutator.payload())
    try:
        packets: list[Message] = decode_payload(fed[-1])
    except ProtocolError:
        return
    engine = Engine("sid", Settings(), 0.0, websocket=False)
    for packet in packets:
        for receive in (engine.receive, engine.receive_probe):
            with suppress(ProtocolError):
                receive(packet)


def _undefined(mutator: Mutator, fed: Fed) -> None:
    fed.append(mutator.break_bytes(msgspec.msgpack.encode(mutator.value(6))))
    try:
        without_undefined(fed[-1])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return


def _raw(mutator: Mutator, fed: Fed) -> None:
    fed.append([mutator.blob() for _ in range(mutator.random.randrange(3))])
    _arguments(JSONArguments([Raw(blob) for blob in fed[-1]]))
    _arguments(MsgpackArguments([Raw(blob) for blob in fed[-1]]))


def _attachments(mutator: Mutator, fed: Fed) -> None:
    fed.append(mutator.value(6))
    values, buffers = extract([fed[-1]])
    try:
        restore(values, buffers[: mutator.random.randrange(len(buffers) + 1)])
    except ProtocolError:
        return


DECODERS: tuple[Callable[[Mutator, Fed], None], ...] = (
    _socketio, _socketio, _msgpack, _msgpack, _plain, _payload, _undefined, _raw, _attachments,
)  # fmt: skip


class Faults(logging.Handler):
    """What lbproto has logged as an error: nothing a peer does may be one."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def check(self) -> None:
        """Raises the first one."""
        if self.records:
            record = self.records.pop(0)
            self.records.clear()
            error = record.exc_info[1] if record.exc_info else None
            raise AssertionError(f"logged as an error: {record.getMessage()}") from error


async def fuzz(
    seed: int,
    *,
    executions: int | None = None,
    seconds: float | None = None,
    only: int | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> Counter[str]:
    """Run until the first failure, so many executions, or so long.

    Returns:
        How many executions there were of what.

    Raises:
        Failure: a rule was broken.
    """
    done: Counter[str] = Counter()
    faults = Faults()
    logger = logging.getLogger("lbproto")
    logger.addHandler(faults)
    start = told = time.monotonic()
    number = -1 if only is None else only - 1
    try:
        while True:
            number += 1
            now = time.monotonic()
            if now - told >= PROGRESS_SECONDS:
                told = now
                report(_summary(done, now - start))
            if (seconds is not None and now - start >= seconds) or number == executions:
                return done
            await _execute(seed, number, done, faults)
            if only is not None:
                return done
    finally:
        logger.removeHandler(faults)


async def _execute(seed: int, number: int, done: Counter[str], faults: Faults) -> None:
    random = Random(f"{seed}:{number}")  # noqa: S311 - repeatable, which is the point
    mutator = Mutator(random)
    fed: Fed = []
    kind = random.choice(("decoder", "decoder", "storm"))
    try:
        if kind == "decoder":
            target = random.choice(DECODERS)
            target(mutator, fed)
            done[f"decoder {target.__name__.strip('_')}"] += 1
        else:
            async with running(SETTINGS) as runtime:
                done[f"storm {await storm(runtime, mutator, fed)}"] += 1
        faults.check()
    except Exception as error:
        shown = "\n".join(f"  {item!r:.2000}" for item in fed)
        raise Failure(
            f"--seed {seed} --only {number} ({kind}), fed with\n{shown}\n"
            f"{''.join(traceback.format_exception(error))}"
        ) from error


def _summary(done: Counter[str], seconds: float) -> str:
    connections = sum(count for name, count in done.items() if name.startswith("storm"))
    return (
        f"{seconds:6.0f} s  {done.total():>9,} executions, of them {connections:>8,} connections"
        f"  {done.total() / seconds:>6,.0f}/s"
    )


def main() -> int:
    """The command line; the exit code says whether it was clean."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=None, help="by default from the clock")
    parser.add_argument("--only", type=int, default=None, help="one execution of that seed")
    parser.add_argument("--backend", choices=("asyncio", "trio"), default="asyncio")
    given = parser.parse_args()
    seed = int(time.time()) if given.seed is None else given.seed
    print(f"seed {seed}, {given.backend}", flush=True)
    start = time.monotonic()
    try:
        done = anyio.run(
            partial(
                fuzz,
                seed,
                seconds=given.seconds,
                only=given.only,
                report=partial(print, flush=True),
            ),
            backend=given.backend,
        )
    except Failure as failure:
        print(f"FAILED: {failure}", flush=True)
        return 1
    for name, count in sorted(done.items()):
        print(f"{name:24} {count:>9,}")
    print(_summary(done, time.monotonic() - start), flush=True)
    print("clean", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
