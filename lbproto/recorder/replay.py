"""A recording played to a server in virtual time: the same requests, at the same moments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from difflib import SequenceMatcher
from itertools import count
from typing import Any, Literal

from lbproto.errors import Overloaded, UsageError
from lbproto.ledger.memory import MemoryLedger
from lbproto.messages import Subscribe
from lbproto.recorder.file import Recording, Row
from lbproto.server import Server
from lbproto.testing.client import Client
from lbproto.testing.clock import VirtualClock
from lbproto.testing.serving import AnyToken
from lbproto.testing.transcript import Entry, Transcript
from lbproto.wire.port import CLIENT_LEFT, Refused

__all__ = ["Replayed", "Step", "in_virtual_time", "replay"]

_CREDITS = 1_000_000
_SETTLE_SECONDS = 1.0  # seconds that the server has for what comes of the last request
# Told of the connection, which is another one, and of other nodes, of which there are none.
_UNTOLD = ("connected", "recovered", "session_lost", "answers_lost")


def in_virtual_time(server: Server) -> Server:
    """A server of the same plugins that a recording can be played to; it runs nowhere yet.

    It lets everybody in, its clock stands still, and storage, credits and the way to other nodes
    are its own, empty ones in memory. Middleware and limits are left out.
    """
    _, *plugins = server.plugins
    return Server(
        plugins,
        auth=AnyToken(),
        clock=VirtualClock(),
        recovery=server.recovery,
        settings=server.settings,
        namespaces=server.namespaces,
        max_rooms=server.max_rooms,
        max_jobs=server.max_jobs,
        credits=MemoryLedger() if _keeps_credits(server) else None,
    )


def _keeps_credits(server: Server) -> bool:
    try:
        server.credits  # noqa: B018 - asked for, as a host does
    except UsageError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Step:
    """Something that the client was sent.

    Attributes:
        sign: "=" then and now, "-" then only, "+" now only.
        event: its name.
        code: of the failure that it tells; "" for none.
    """

    sign: Literal["=", "-", "+"]
    event: str
    code: str


@dataclass(frozen=True, slots=True)
class Replayed:
    """The outcome of a replay.

    Attributes:
        steps: what the client was sent, by name and failure, compared.
        transcript: what went over the connection now.
    """

    steps: Sequence[Step]
    transcript: Transcript

    @property
    def same(self) -> bool:
        """Whether it went as it did then."""
        return all(step.sign == "=" for step in self.steps)


class _Player(Client):
    """A client that says what it has said before."""

    def say(self, row: Row, id_: int | None) -> None:
        """Send a request, and go on."""
        self._send({"event": row.event, "data": row.data}, id_)

    def answer(self, asked: Entry, data: Any) -> None:
        """Acknowledge an event."""
        if asked.typed is not None:
            self.acknowledge(asked.typed, data)


class _Stage:
    """Plays row by row.

    Args:
        client: says what was said.
    """

    def __init__(self, client: _Player) -> None:
        self._client = client
        self._requests = count(1)
        self._asked: list[int | str] = []  # what the events were called that wanted an answer
        self._begun = False

    async def play(self, row: Row) -> None:
        """Do what was done."""
        client = self._client
        if row.way == "<":
            if row.id is not None:
                self._asked.append(row.id)
        elif row.way == "-" and row.event == "(connected)":
            if self._begun:
                with suppress(Refused):
                    await client.reconnect()
        elif row.way == "-" and row.event == "(closed)":
            self._leave(row.data)
        elif row.way == ">" and client.closed is None:
            if row.event == "ack":
                self._acknowledge(row)
            else:
                client.say(row, None if row.id is None else next(self._requests))
        self._begun = True

    def _leave(self, told: Any) -> None:
        if isinstance(told, dict) and told.get("reason") == CLIENT_LEFT:
            self._client.close()
        else:
            self._client.drop()

    def _acknowledge(self, row: Row) -> None:
        """Answer the event that is asked now in the place of the one that was asked then."""
        asked = [entry for entry in self._client.transcript if entry.id and entry.direction == "<"]
        if row.re in self._asked and (place := self._asked.index(row.re)) < len(asked):
            self._client.answer(asked[place], row.data)


async def replay(recording: Recording, server: Server) -> Replayed:
    """Play a recording.

    Args:
        recording: what the client says, and when.
        server: runs, on a `VirtualClock`; see `in_virtual_time`.

    Raises:
        UsageError: the server does not run, is on another clock, or does not let the user in.
    """
    header, clock = recording.header, server.clock
    client = _Player(server, header.user, header.wire, answer_pings=True)
    assert isinstance(clock, VirtualClock)  # noqa: S101 - the client has seen to that
    with suppress(ValueError):  # it says no time: any will do
        clock.set_wall(datetime.fromisoformat(header.began).timestamp())
    if _keeps_credits(server):
        await server.credits.grant(header.user, _CREDITS, "replay", transaction_id="replay")
    try:
        await client.open()
    except (Refused, Overloaded) as refused:
        raise UsageError(f"the recording's user is not let in: {refused}") from None
    for room in header.rooms:
        client.emit(Subscribe(room=room))
    await clock.advance(0)
    before, start = len(client.transcript), clock.monotonic()
    stage = _Stage(client)
    for row in recording.rows:
        await clock.advance(max(0.0, start + row.at - clock.monotonic()))
        await stage.play(row)
    await clock.advance(_SETTLE_SECONDS)
    client.drop()
    then = [_told(row) for row in recording.rows if row.way == "<" and row.fate != "dropped"]
    now = [_told(entry) for entry in client.transcript[before:] if entry.direction == "<"]
    return Replayed(list(_compared(_wanted(then), _wanted(now))), client.transcript)


_Told = tuple[str, str]
"""An event's name, and the code of the failure that it tells."""


def _told(told: Row | Entry) -> _Told:
    body = told.data if isinstance(told.data, dict) else {}
    if told.event == "ack":
        body = body.get("error") or {}
    code = body.get("code", "") if "message" in body else ""  # an envelope's, and no other
    return told.event, str(code)


def _wanted(told: Sequence[_Told]) -> list[_Told]:
    return [each for each in told if each[0] not in _UNTOLD and not each[0].startswith("(")]


def _compared(then: list[_Told], now: list[_Told]) -> Iterator[Step]:
    for kind, a, b, c, d in SequenceMatcher(None, then, now, autojunk=False).get_opcodes():
        if kind == "equal":
            yield from (Step("=", *each) for each in then[a:b])
        else:
            yield from (Step("-", *each) for each in then[a:b])
            yield from (Step("+", *each) for each in now[c:d])
