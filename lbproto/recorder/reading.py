"""From what a tape has kept to the rows of a recording: frames are read, secrets are hidden."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from lbproto.clock import iso_timestamp
from lbproto.delivery.outbox import Pushed
from lbproto.errors import InvalidRequest
from lbproto.frame import Message
from lbproto.recorder.file import FORMAT, VERSION, Header, Recording, Row
from lbproto.recorder.secrets import without_secrets
from lbproto.recorder.tape import Acknowledged, Befallen, Entry, Sent, Tape
from lbproto.registry import Registry
from lbproto.testing.codecs import CODECS, Heard, Wire
from lbproto.wire.formats import WireFormat
from lbproto.wire.port import Inbound

__all__ = ["recording_of"]

_NAMESPACE = re.compile(r"^(4\d(?:\d+-)?)/[^,]*,")
_FATES: dict[int, Literal["dropped", "conflated"]] = {
    Pushed.DROPPED: "dropped",
    Pushed.CONFLATED: "conflated",
}
_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, msgspec.MsgspecError)


def recording_of(
    tape: Tape, registry: Registry, now: tuple[float, float], incident: tuple[str, str] = ("", "")
) -> Recording:
    """What a tape holds.

    Args:
        tape: the session's.
        registry: the server's: which fields are secret.
        now: the wall clock, and the monotonic one.
        incident: its id, and the request that failed.
    """
    entries = tape.entries
    wall, monotonic = now
    began = entries[0][0] if entries else monotonic
    header = Header(
        FORMAT,
        VERSION,
        session=tape.session.sid,
        user=tape.session.user_id,
        wire=_wire(tape.session.format),
        began=iso_timestamp(int((wall - (monotonic - began)) * 1_000)),
        rooms=tape.rooms,
        left_out=tape.left_out,
        incident=incident[0],
        event=incident[1],
    )
    reader = _Reader(registry)
    rows = [row for when, entry in entries for row in reader.rows(round(when - began, 6), entry)]
    return Recording(header, rows)


def _wire(format_: WireFormat) -> Wire:
    if format_.answers_acknowledge:
        return "plain-msgpack" if format_.is_msgpack else "plain-json"
    return "socketio-msgpack" if format_.is_msgpack else "socketio-json"


class _Reader:
    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def rows(self, at: float, entry: Entry) -> Iterator[Row]:
        """What an entry says; a frame may carry an event and an acknowledgement."""
        match entry:
            case Inbound():
                yield self._request(at, entry)
            case Sent():
                yield from self._frame(at, entry)
            case Acknowledged():
                # What type the answer has, only the one who waits for it knows.
                yield Row(at, ">", "ack", re=entry.id, hidden=True)
            case Befallen():
                yield Row(at, "-", entry.event, entry.data)

    def _request(self, at: float, inbound: Inbound) -> Row:
        row = Row(at, ">", inbound.shown_name, id=inbound.id)
        route = self._registry.routes.get(inbound.name)
        if route is None:
            row.hidden = True
            return row
        try:
            values = inbound.arguments.values()
            row.data = without_secrets(values[0], route.request) if values else None
        except (InvalidRequest, RecursionError):
            row.hidden = True
        return row

    def _frame(self, at: float, sent: Sent) -> Iterator[Row]:
        codec = CODECS[_wire(sent.format)]()
        for message in sent.frame.messages:
            try:
                heard = codec.receive(_without_namespace(message))
            except _UNREADABLE:
                yield Row(at, "<", "(unreadable)", hidden=True)
                return
            if heard is not None and heard.kind in ("event", "ack"):
                yield self._heard(at, heard, sent.outcome)

    def _heard(self, at: float, heard: Heard, outcome: int) -> Row:
        if heard.kind == "ack":
            row = Row(at, "<", "ack", re=heard.re)
            row.data, row.hidden = self._acknowledgement(heard.data)
        else:
            row = Row(at, "<", heard.event, id=heard.asks, re=heard.re, offset=heard.offset)
            row.data, row.hidden = self._event(heard.event, heard.data)
        row.fate = _FATES.get(outcome, "")
        return row

    def _event(self, name: str, data: Any) -> tuple[Any, bool]:
        emission = self._registry.emissions.get(name)
        if emission is None:
            return None, True
        return without_secrets(data, emission.event), False

    def _acknowledgement(self, body: Any) -> tuple[Any, bool]:
        """One of a server carries the event that answers, or an envelope; see `Context`."""
        if not isinstance(body, dict) or "event" not in body:
            return body, False
        data, hidden = self._event(body["event"], body.get("data"))
        return {**body, "data": data}, hidden


def _without_namespace(message: Message) -> Message:
    return _NAMESPACE.sub(r"\1", message) if isinstance(message, str) else message
