"""A Socket.IO client by hand, which writes down whatever goes over its connection."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Literal, NamedTuple, Self

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

__all__ = ["Client", "Exchange", "Frame", "Line"]

SECONDS = 60

_PACKET = re.compile(r"(\d+)(.*)", re.DOTALL)

# How much of it is told depends on how fast the machine is.
_PROGRESS = frozenset({"query_progress", "address_analysis_progress"})


class Frame(NamedTuple):
    """One message.

    Attributes:
        sender: who sent it.
        packet: what it begins with: the types of Engine.IO's and Socket.IO's packets, and the id
            of an acknowledgement.
        data: what follows, as JSON has it; None for nothing.
    """

    sender: Literal["client", "server"]
    packet: str
    data: Any

    @property
    def event(self) -> str:
        """The event's name; "" where it carries none."""
        return str(self.data[0]) if self.packet.startswith("42") else ""

    @property
    def payload(self) -> Any:
        """The event's payload."""
        return self.data[1] if len(self.data) > 1 else {}


Line = Frame | str
"""A frame, or what happened beside the connection."""


class Exchange(NamedTuple):
    """What is told to show an event.

    Attributes:
        event: its name.
        lines: in the order in which they went over the wire.
    """

    event: str
    lines: list[Line]


class Client:
    """One connection.

    Attributes:
        handshake: what went over it until it was authenticated.
        lines: and since then.
    """

    def __init__(self, websocket: ClientConnection, auth: dict[str, str]) -> None:
        self._websocket = websocket
        self.lines: list[Line] = []
        self._next()
        self._send("40", auth)
        self.until("connected")
        self.handshake, self.lines = self.lines, []

    @classmethod
    @contextmanager
    def connecting(cls, url: str, name: str, **resumed: str) -> Iterator[Self]:
        """A client of the server at `url` (`ws://…`), authenticated as that user.

        Args:
            url: where the server is.
            name: of the user.
            resumed: the `pid` and the `offset` of a session that goes on.
        """
        with connect(f"{url}/socket.io/?EIO=4&transport=websocket") as websocket:
            yield cls(websocket, {"token": f"Bearer token-{name}", **resumed})
            with suppress(ConnectionClosed):
                websocket.send("41")  # it leaves: nobody waits for it to come back

    @property
    def resumed(self) -> dict[str, str]:
        """What somebody who goes on from here shows."""
        frames = [line for line in (*self.handshake, *self.lines) if isinstance(line, Frame)]
        (answer,) = (frame for frame in frames if frame[:2] == ("server", "40"))
        return {"pid": answer.data["pid"], "offset": frames[-1].data[-1]}

    def lose(self) -> None:
        """Lose the connection, as when a cable is pulled."""
        self._websocket.socket.close()

    def send(self, event: str, data: Any = None, *, ack: str = "") -> None:
        """Send an event; `ack` is the id of the acknowledgement that is asked for."""
        self._send("42" + ack, [event] if data is None else [event, data])

    def until(self, event: str) -> Any:
        """The payload of the next such event."""
        while (frame := self._next()).event != event:
            pass
        return frame.payload

    def acknowledged(self) -> None:
        """Wait for an acknowledgement."""
        while not self._next().packet.startswith("43"):
            pass

    def note(self, text: str) -> None:
        """Write down what happened beside the connection."""
        self.lines.append(text)

    def told(self, event: str) -> Exchange:
        """All until now, but progress that is not what is to be shown."""
        passed_over = _PROGRESS - {event}
        kept = [
            line for line in self.lines if isinstance(line, str) or line.event not in passed_over
        ]
        return Exchange(event, kept)

    def _send(self, packet: str, data: Any) -> None:
        self.lines.append(Frame("client", packet, data))
        self._websocket.send(packet + json.dumps(data))

    def _next(self) -> Frame:
        while True:
            text = self._websocket.recv(timeout=SECONDS)
            match = _PACKET.fullmatch(str(text))
            assert match is not None, text
            packet, rest = match.groups()
            if packet != "2":
                break
            self._websocket.send("3")  # a heartbeat is not part of what is told
        frame = Frame("server", packet, json.loads(rest) if rest else None)
        self.lines.append(frame)
        return frame
