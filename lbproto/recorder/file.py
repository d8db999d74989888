"""A recording as a file: JSON lines, the first of which says what it is. No I/O.

    {"format":"lbproto-recording","version":1,"session":"...","user":"ada","wire":"plain-json",...}
    {"at":0.0,"way":"-","event":"(connected)","data":{"resumed":false}}
    {"at":0.412,"way":">","event":"subscribe","data":{"room":"market:ETH-USDT"},"id":1}
    {"at":0.415,"way":"<","event":"subscribed","data":{...},"re":1,"offset":"..."}

A reader ignores fields that it does not know; what a reader of version 1 would misunderstand has
another version.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

import msgspec

__all__ = ["FORMAT", "VERSION", "BadRecording", "Header", "Recording", "Row", "decode", "encode"]

FORMAT, VERSION = "lbproto-recording", 1
_BYTES = "$bytes"
_MAX_BYTES = 64 * 1024 * 1024
_MAX_DEPTH = 64  # of a payload
_MAX_SECONDS = 7 * 24 * 3_600.0  # a replay steps through all of them

_Seconds = Annotated[float, msgspec.Meta(le=_MAX_SECONDS)]


class BadRecording(ValueError):
    """It is not a recording, or one of a version that is not known here."""


class Header(msgspec.Struct, omit_defaults=True):
    """What a recording is of.

    Attributes:
        format, version: what this is.
        session: its id.
        user: whose it is.
        wire: what its client speaks, as `lbproto.testing.Wire` names it.
        began: when the first row was, ISO 8601, UTC.
        rooms: those it was in before the first row, but its personal one.
        left_out: rows that were before the first, and are not kept.
        incident: the id of the failure that this was kept for; "" for none.
        event: the request that failed.
    """

    format: str
    version: int
    session: str
    user: str
    wire: Literal["socketio-json", "socketio-msgpack", "plain-json", "plain-msgpack"]
    began: str
    rooms: list[str] = msgspec.field(default_factory=list)
    left_out: int = 0
    incident: str = ""
    event: str = ""


class Row(msgspec.Struct, omit_defaults=True):
    """One thing that went over the wire, or happened to the connection.

    Attributes:
        at: seconds since `Header.began`; a week at most.
        way: ">" from the client, "<" to it, "-" the connection itself.
        event: its name; "ack" for an acknowledgement; in parentheses what befell the connection.
        data: the payload, its secrets hidden.
        id: what the client calls the request, or the server the event that is to be acknowledged.
        re: the `id` of what this answers.
        offset: where a client resumes that got this last.
        fate: "dropped", by a full outbox; "conflated": sent in the place of an older one, which was
            not; "" for sent.
        hidden: whether the payload is not kept at all: nobody declared what in it is secret.
    """

    at: _Seconds
    way: Literal[">", "<", "-"]
    event: str
    data: Any = None
    id: int | str | None = None
    re: int | str | None = None
    offset: str | None = None
    fate: Literal["", "dropped", "conflated"] = ""
    hidden: bool = False


class Recording(msgspec.Struct):
    """A part of what a session has been sent, and has sent."""

    header: Header
    rows: Sequence[Row]


def encode(recording: Recording) -> bytes:
    """The file's content."""
    rows = map(_writable, recording.rows)
    return msgspec.json.Encoder(enc_hook=repr).encode_lines([recording.header, *rows])


def decode(content: bytes) -> Recording:
    """What a file's content says.

    Raises:
        BadRecording: it is not a recording; the message says which line, and why.
    """
    if len(content) > _MAX_BYTES:
        raise BadRecording(f"a recording has {_MAX_BYTES} bytes at most")
    first, *lines = content.splitlines() or [b""]
    try:
        header = msgspec.json.decode(first, type=Header)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRecording(f"this is not a recording: {error}") from None
    if header.format != FORMAT:
        raise BadRecording('this is not a recording: its format is not "lbproto-recording"')
    if header.version != VERSION:
        raise BadRecording(f"version {header.version} of recordings is not known here")
    return Recording(header, list(_rows(lines)))


def _rows(lines: Iterable[bytes]) -> Iterable[Row]:
    decoder = msgspec.json.Decoder(Row)
    for number, line in enumerate(lines, 2):
        if line.strip():
            try:
                row = decoder.decode(line)
                row.data = _from_json(row.data)
            except (msgspec.DecodeError, ValueError, RecursionError) as error:
                raise BadRecording(f"line {number}: {error}") from None
            yield row


def _writable(row: Row) -> Row:
    """The row with values that JSON has; one nested too deeply to be read again is hidden."""
    try:
        return msgspec.structs.replace(row, data=_to_json(row.data))
    except RecursionError:
        return msgspec.structs.replace(row, data=None, hidden=True)


def _to_json(value: Any, depth: int = 0) -> Any:
    """Bytes as `{"$bytes": base64}`."""
    if depth > _MAX_DEPTH:
        raise RecursionError
    if isinstance(value, bytes | bytearray | memoryview):
        return {_BYTES: b64encode(value).decode()}
    if isinstance(value, dict):
        return {str(key): _to_json(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_to_json(item, depth + 1) for item in value]
    return value


def _from_json(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {_BYTES} and isinstance(value[_BYTES], str):
            return b64decode(value[_BYTES], validate=True)
        return {key: _from_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_from_json(item) for item in value]
    return value
