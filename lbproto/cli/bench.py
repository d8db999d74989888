"""`lbproto bench`: what a server manages, by a crowd of clients."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec

from lbproto.cli.failure import Failure
from lbproto.cli.figures import Figures, Shown, showing_progress
from lbproto.load import (
    Crowd,
    Dialect,
    FanOut,
    LoadError,
    Progress,
    Requests,
    ServerProcess,
    fan_out,
    idle,
    listen,
    paced,
    plain,
    requests,
    socketio,
)
from lbproto.load.target import Target

__all__ = ["Plan", "Wire", "bench"]

_PUBLISH_DATA = '{"room":"{room}","count":{count}}'
_REQUEST_DATA = "{}"
# A URL for `listen` or for a stock client may end in these: the wire adds its own.
_PATHS = ("/ws", "/socket.io")


class Wire(StrEnum):
    """What clients speak."""

    SOCKETIO = "socketio"
    PLAIN = "plain"
    MSGPACK = "msgpack"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be measured: the command's options, by their names."""

    url: str
    token: str
    rooms: tuple[str, ...]
    clients: int
    seconds: float
    warm: float
    wire: Wire
    event: str
    publish: str
    request: str
    data: str | None
    count: int
    window: int
    rate: float | None
    depth: int
    stalled: int
    delay_field: str
    pid: int | None
    file: Path | None

    def check(self) -> None:
        """Refuse what does not go together.

        Raises:
            Failure: it does not.
        """
        if self.publish and self.request:
            raise Failure("--publish and --request are two measurements: choose one")
        if self.rate is not None and not self.publish:
            raise Failure("--rate is how often is asked to publish: say by what, with --publish")
        if (self.publish or self.stalled) and not self.rooms:
            raise Failure("what is published reaches no room: name one with --room")
        if self.stalled >= self.clients:
            raise Failure("all clients would be stalled: take fewer --stalled, or more --clients")

    def dialect(self) -> Dialect:
        """What the clients say.

        Raises:
            Failure: the payload is not JSON.
        """
        data = self.data or (_PUBLISH_DATA if self.publish else _REQUEST_DATA)
        common: dict[str, Any] = {
            "event": self.event,
            "subscribe": "subscribe" if self.rooms else "",
            "publish": self.publish,
            "data": data,
            "request": self.request,
            "request_data": data,
            "timestamp": self.delay_field,
        }
        if self.wire is Wire.SOCKETIO:
            dialect = socketio(self.token, **common)
        else:
            dialect = plain(self.token, **common, packed=self.wire is Wire.MSGPACK)
        filled = data.replace("{count}", "1").replace("{client}", "1").replace("{room}", "r")
        try:
            msgspec.json.decode(filled)
        except msgspec.DecodeError as error:
            example = f"'{_PUBLISH_DATA}'"
            raise Failure(f"the payload is not JSON ({error}); example: {example}") from None
        return dialect

    def target(self) -> str:
        """The address without what the wire adds."""
        url = self.url.rstrip("/")
        for path in _PATHS:
            url = url.removesuffix(path)
        return url

    def process(self) -> ServerProcess | None:
        """The server's process, if it is told or can be found."""
        if self.pid is not None:
            process = ServerProcess(self.pid)
            if process.usage() is None:
                raise Failure(f"there is no process {self.pid} to look at: is --pid right?")
            return process
        target = Target.of(self.target())
        local = target.is_local(*target.resolve())
        return ServerProcess.listening(target.port) if local else None


def bench(plan: Plan) -> bool:
    """Measure, and show what came of it.

    Returns:
        Whether no event was lost.

    Raises:
        Failure: the plan cannot be carried out.
    """
    plan.check()
    figures = Figures(plan.clients)
    try:
        with (
            showing_progress() as shown,
            Crowd(
                plan.target(),
                plan.dialect(),
                plan.clients,
                stalled=plan.stalled,
                process=plan.process(),
            ) as crowd,
        ):
            _measure(plan, crowd, figures, shown)
    except LoadError as error:
        raise Failure(str(error)) from None
    except KeyboardInterrupt:
        figures.interrupted = True
    figures.show()
    if plan.file is not None:
        _write(plan.file, figures.as_data())
    return figures.complete


def _measure(plan: Plan, crowd: Crowd, figures: Figures, shown: Shown) -> None:
    before = crowd.process.usage() if crowd.process is not None else None
    with shown.stage("connecting", plan.clients) as tell:
        figures.connected = crowd.connect(tell)
    if plan.rooms:
        with shown.stage("subscribing", plan.clients) as tell:
            figures.subscribed = crowd.subscribe(plan.rooms, tell)
    after = crowd.process.usage() if crowd.process is not None else None
    if before is not None and after is not None:
        figures.connection_bytes = (after.resident - before.resident) / plan.clients
    with _stopping(crowd, figures), shown.measuring(plan.seconds) as told:
        figures.measured = _by_plan(plan, crowd, told)


def _by_plan(
    plan: Plan, crowd: Crowd, told: Callable[[Progress], None]
) -> FanOut | Requests | None:
    times: dict[str, Any] = {"seconds": plan.seconds, "warm": plan.warm, "progress": told}
    if plan.request:
        return requests(crowd, depth=plan.depth, **times)
    if plan.rate is not None:
        return paced(crowd, rate=plan.rate, events=plan.count, **times)
    if plan.publish:
        return fan_out(crowd, events=plan.count, window=plan.window, **times)
    if plan.rooms:
        return listen(crowd, seconds=plan.seconds, progress=told)
    idle(crowd, seconds=plan.seconds)
    return None


@contextmanager
def _stopping(crowd: Crowd, figures: Figures) -> Iterator[None]:
    """While the body runs, the first Ctrl-C ends the measurement as if its time were up."""

    def stop(_signum: int, _frame: FrameType | None) -> None:
        if figures.interrupted:
            raise KeyboardInterrupt
        figures.interrupted = True
        crowd.stop()

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _write(file: Path, data: dict[str, Any]) -> None:
    text = msgspec.json.format(msgspec.json.encode(data), indent=2)
    try:
        file.write_bytes(text + b"\n")
    except OSError as error:
        raise Failure(f"cannot write {file} ({error.strerror}): name another with --json") from None
