"""What load clients say, and by what they know what they hear.

A dialect is data. Whoever measures a server with another protocol writes a `Dialect` of their own;
`socketio` and `plain` make those for lbproto's two wires.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import msgspec

__all__ = ["Dialect", "plain", "socketio"]

_REQUEST = 2  # how a request is called that is counted; a subscription is 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One protocol over WebSocket, from connecting to counting.

    What a message "starts with" is text as it is on the wire. In what clients say, `{room}`,
    `{count}` and `{client}` (a number from 0, in `opening`) are filled in; all other braces stay.

    Attributes:
        path: the target of the WebSocket handshake, with its query.
        subprotocols: those offered, in this order. One that starts with `bearer.` is for the
            server to read, and never chosen.
        opening: pairs of what the server says first and what is answered (None: nothing), in
            this order, before a client counts as connected. Where the server says nothing first,
            the former is empty, and the client speaks at once.
        subscribe: the message that joins `{room}`; empty: there are no rooms.
        subscribed: what the answer to it starts with.
        publish: the message that has the server send `{count}` events to all in `{room}`; empty:
            the server publishes by itself.
        request: the message of a measurement of requests.
        answered: what occurs once in its answer and nowhere else; best, what it starts with.
        marker: what occurs once in each delivery and nowhere else. It is searched for in raw
            bytes, so it lies within one frame of one WebSocket message.
        timestamp: the name of a field of a delivery with the moment it was sent, in nanoseconds
            of the system's monotonic clock: only a server on the same machine has the same one.
        heartbeat: what the server says to hear whether we are there, and what is answered.
        refused: a regular expression; a message that starts with what it matches says no.
        leaving: the last message of a client that leaves in order; empty: none.
        packed: messages are MessagePack. What is said is written in JSON here and translated;
            what is heard is given as bytes, and starts behind a message's first byte (that says
            how many fields follow).

    Raises:
        ValueError: it says a thing without saying what the answer is.
    """

    path: str
    subprotocols: tuple[str, ...] = ()
    opening: tuple[tuple[str | bytes, str | None], ...] = ()
    subscribe: str = ""
    subscribed: str | bytes = ""
    publish: str = ""
    request: str = ""
    answered: str | bytes = ""
    marker: str | bytes = ""
    timestamp: str = ""
    heartbeat: tuple[str, str] | None = None
    refused: str | bytes = ""
    leaving: str = ""
    packed: bool = False

    def __post_init__(self) -> None:
        if self.subscribe and not self.subscribed:
            raise ValueError("what subscribes is answered: say how, by `subscribed`")
        if self.request and not self.answered:
            raise ValueError("a request is answered: say how, by `answered`")
        if self.publish and not self.marker:
            raise ValueError("what is published is counted: say by what, by `marker`")

    def say(self, template: str, **values: str | int) -> str | bytes:
        """A message with its blanks filled in, as it is sent.

        Args:
            template: one of the dialect's own.
            values: what is put for `{room}` and its like. Text is escaped as within a JSON string.
        """
        for name, value in values.items():
            text = msgspec.json.encode(value).decode()
            template = template.replace(f"{{{name}}}", text[1:-1] if text[0] == '"' else text)
        return msgspec.msgpack.encode(msgspec.json.decode(template)) if self.packed else template

    def hears(self, message: bytes, start: str | bytes) -> bool:
        """Whether a message starts like this."""
        return message.startswith(_bytes(start), 1 if self.packed else 0)

    def refusal(self, data: bytes, start: int = 0) -> bool:
        """Whether the message that begins there says no."""
        # Kept by `re`, which compiles it once.
        pattern = re.compile(_bytes(self.refused), re.DOTALL)
        return bool(self.refused) and pattern.match(data, start) is not None


def socketio(
    token: str,
    *,
    event: str = "",
    subscribe: str = "subscribe",
    publish: str = "",
    data: str = '{"room":"{room}","count":{count}}',
    request: str = "",
    request_data: str = "{}",
    timestamp: str = "",
    path: str = "/socket.io/",
    namespace: str = "/",
) -> Dialect:
    """Socket.IO v5 over WebSocket, for lbproto servers and those that acknowledge like them.

    Args:
        token: shown on connecting; `{client}` in it is the client's number, so that each client
            can be a user of its own.
        event: the one that counts; empty: all. Those with binary attachments do not count.
        subscribe: the event that joins a room, its payload `{room}`; empty: there are no rooms.
        publish: the event that has the server publish; empty: it does so by itself.
        data: its payload, in JSON with blanks.
        request: the event to measure requests with; empty: none.
        request_data: its payload, in JSON.
        timestamp: see `Dialect`.
        path: where the server answers, without a query.
        namespace: the one to connect to.
    """
    at = "" if namespace == "/" else f"{namespace},"
    return Dialect(
        path=f"{path}?EIO=4&transport=websocket",
        opening=(("0", f"40{at}{_json({'token': token})}"), (f"40{at}", None)),
        subscribe=subscribe and f'42{at}1[{_json(subscribe)},{{"room":"{{room}}"}}]',
        subscribed=f'43{at}1[{{"ok":true',
        publish=publish and f"42{at}[{_json(publish)},{data}]",
        request=request and f"42{at}{_REQUEST}[{_json(request)},{request_data}]",
        answered=f'43{at}{_REQUEST}[{{"ok":true',
        # A quotation mark within a JSON string is escaped: so this is in no payload.
        marker=f"42{at}[{_json(event)}" if event else f'42{at}["',
        timestamp=timestamp,
        heartbeat=("2", "3"),
        refused=rf'44|43{at}\d+\[{{"ok":false|42{at}\["(\w+",{{"code":"|insufficient_credits")',
        leaving=f"41{at}",
    )


def plain(
    token: str,
    *,
    event: str = "",
    subscribe: str = "subscribe",
    publish: str = "",
    data: str = '{"room":"{room}","count":{count}}',
    request: str = "",
    request_data: str = "{}",
    timestamp: str = "",
    path: str = "/ws",
    packed: bool = False,
) -> Dialect:
    """Plain WebSocket, as lbproto speaks it.

    Args:
        token: shown in the event `authenticate`; `{client}` in it is the client's number.
        event: the one that counts; empty: all. Then no payload may hold an object that begins with
            a field `event`.
        subscribe: see `socketio`; so are the others.
        publish: the event that has the server publish; empty: it does so by itself.
        data: its payload, in JSON with blanks.
        request: the event to measure requests with, which one event answers; empty: none.
        request_data: its payload, in JSON.
        timestamp: see `Dialect`.
        path: where the server answers.
        packed: speak MessagePack instead of JSON.
    """
    starts = _starts_packed if packed else _starts
    return Dialect(
        path=path,
        subprotocols=("lbproto.v1.msgpack" if packed else "lbproto.v1.json",),
        opening=(
            ("", _request("authenticate", _json({"token": token}))),
            (starts("connected"), None),
        ),
        subscribe=subscribe and _request(subscribe, '{"room":"{room}"}', id_=1),
        subscribed=starts("subscribed"),
        publish=publish and _request(publish, data),
        request=request and _request(request, request_data, id_=_REQUEST),
        # How an answer starts is the app's matter; the request's number is in no other frame.
        answered=b"\xa2re\x02" if packed else f',"re":{_REQUEST}',
        marker=starts(event),
        timestamp=timestamp,
        refused=rb".\xa5event[\xa0-\xbf]\w+\xa4data.\xa4code"
        if packed
        else r'\{"event":"\w+","data":\{"code":"',
        packed=packed,
    )


def _request(event: str, data: str, id_: int | None = None) -> str:
    number = "" if id_ is None else f',"id":{id_}'
    return f'{{"event":{_json(event)},"data":{data}{number}}}'


def _starts(event: str) -> str:
    """How an event begins; without a name, how every event does."""
    return '{"event":"' if not event else f'{{"event":{_json(event)}'


def _starts_packed(event: str) -> bytes:
    name = msgspec.msgpack.encode(event) if event else b""
    return msgspec.msgpack.encode("event") + name


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()
