"""Bad input that is nearly good: real packets of every protocol, and ways to break them."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
from msgspec.msgpack import Ext

from lbproto.frame import Message

__all__ = ["Mutator"]

_PLACEHOLDER = '{"_placeholder":true,"num":0}'

# As websocket messages: each Socket.IO text carries its Engine.IO prefix.
SOCKETIO: tuple[str, ...] = (
    "40",
    '40{"token":"t"}',
    '40{"token":"bad"}',
    '40{"token":"slow"}',
    "40/ws,",
    '40/ws?token=1,{"token":"t"}',
    "40/third",
    "40/random,{}",
    "41",
    "41/ws,",
    '42["echo",1,"2",{"3":[true,null,1.5]}]',
    '42/ws,7["echo",{"room":"a"}]',
    '421["subscribe",{"room":"market:ETH-USDT"}]',
    '42["slow"]',
    '42["leave"]',
    '42["close"]',
    '42["burst",{"n":3}]',
    "431[]",
    '43/ws,2["x"]',
    '44{"message":"no"}',
    f'451-["echo",{_PLACEHOLDER}]',
    f'452-/ws,9["echo",{_PLACEHOLDER},{{"deep":[{_PLACEHOLDER.replace("0", "1")}]}}]',
    f"461-3[{_PLACEHOLDER}]",
    '451-["echo",{"_placeholder":true,"num":1}]',
    '451-["echo",[{"_placeholder":true,"num":-1}]]',
    '452-["echo",{"_placeholder":true}]',
    "2",
    "2probe",
    "3",
    "5",
    "6",
    "1",
)
PLAIN: tuple[str, ...] = (
    '{"event":"authenticate","data":{"token":"t"},"id":1}',
    '{"event":"authenticate","data":{"token":"bad"}}',
    '{"event":"authenticate","data":{"token":"slow"}}',
    '{"event":"echo","data":{"a":[1,"2",null]},"id":"x"}',
    '{"event":"echo","data":null}',
    '{"event":"slow","id":2}',
    '{"event":"leave"}',
    '{"event":"close"}',
    '{"event":"burst","data":{"n":3}}',
)
TOKENS: tuple[str, ...] = (
    *"0123456789[]{}:,-/?\"\\ \x1e\x00\n",
    "null", "true", "NaN", "-0", "1e999", "-1", "999999999999999", "1234567890123456", "0.5",
    "\ud800", "\\ud800", "\\u0000", "é", "😀", "\ufeff", "\uff12", '"num":-1',
    '"_placeholder":true', "[[[[", "[" * 2_000, '{"a":' * 1_200, "]" * 2_000, "9" * 400, "51-",
    "9999-", "4", "b", "bAQI=", "x" * 70, "/ws,", "__proto__",
)  # fmt: skip
BYTES: tuple[bytes, ...] = (
    b"", b"\x00", b"\xff", b"\xc1", b"\xd4\x00\x00", b"\xc7\x0c\xff" + b"\xff" * 12,
    b"\xdd\xff\xff", b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff",
    b"\xdb\xff\xff\xff\xff", b"\xa1\xff", b"\xc0",
    b"\x91" * 1_200, b"\x81\xa1a" * 1_200, b"\x81\x81\x01\x01", b"\xed\xa0\x80", b"\xc3", b"\x1e",
    b"\xcf" + b"\xff" * 8, b"\xd3" + b"\x80" + b"\x00" * 7, b"\xcb\x7f\xf8" + b"\x00" * 6,
    b"\xa4type", b"\xa3nsp", b"\xa4data", b"\xa2id", b"\xa5event", b"\x02", b"\x05", b"4", b"b",
)  # fmt: skip

VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 2**63, 2**64 - 1, 1.5, float("inf"), "", "echo", "é", "x" * 300,
    b"", b"\xff", b"\xd4\x00\x00", Ext(0, b"\0"), Ext(0, b""), Ext(7, b"\xd4\x00"),
)  # fmt: skip


class Mutator:
    """Makes messages.

    Args:
        random: every choice comes from it, so that a seed says everything.
    """

    def __init__(self, random: Random) -> None:
        self.random = random
        self._owed = 0  # attachments that the last packet has announced

    # Whole messages

    def socketio(self) -> Message:
        """A message of a Socket.IO client in the textual form."""
        if self.random.random() < (0.9 if self._owed else 0.05):
            self._owed = max(0, self._owed - 1)
            return self.blob()
        text = self.random.choice(SOCKETIO)
        self._owed = int(text[2]) if text[:2] in ("45", "46") else 0
        return self.maybe_broken(text)

    def msgpack(self) -> Message:
        """A message of a Socket.IO client with the MessagePack parser."""
        choice = self.random.choice
        if self.random.random() < 0.15:
            return choice(("2", "2probe", "3", "5", "1", self.socketio()))
        packet: dict[Any, Any] = {
            "type": choice((0, 0, 1, 2, 2, 2, 2, 3, self.value(1))),
            "nsp": choice(("/", "/", "/ws", "/third", "/random", self.value(1))),
        }
        if packet["type"] in (0, 1):
            packet["data"] = choice((None, Ext(0, b"\0"), {"token": "t"}, {"token": "bad"}, {}))
        else:
            names = ("echo", "echo", "slow", "leave", "burst", "subscribe", self.value(1))
            packet["data"] = [choice(names), *(self.value(4) for _ in range(choice((0, 1, 2))))]
        if self.random.random() < 0.3:
            packet["id"] = choice((0, 1, 2**53, 2**64 - 1, -1, Ext(0, b"\0"), self.value(1)))
        return self._pack_maybe_broken(packet)

    def plain(self) -> Message:
        """A message of a plain WebSocket client that speaks JSON."""
        if self.random.random() < 0.05:
            return self.blob()
        return self.maybe_broken(self.random.choice(PLAIN))

    def plain_msgpack(self) -> Message:
        """A message of a plain WebSocket client that speaks MessagePack."""
        if self.random.random() < 0.05:
            return self.plain()
        body = msgspec.json.decode(self.random.choice(PLAIN))
        if self.random.random() < 0.3:
            body[self.random.choice(("data", "id", "event", "more"))] = self.value(4)
        return self._pack_maybe_broken(body)

    def payload(self) -> bytes:
        """A polling body."""
        packets: list[str] = []
        for _ in range(self.random.randrange(1, 6)):
            packet = self.socketio()
            packets.append(
                packet if isinstance(packet, str) else self.random.choice(("b", "bAQI="))
            )
        body = "\x1e".join(packets).encode(errors="replace")
        return self.break_bytes(body) if self.random.random() < 0.2 else body

    def blob(self) -> bytes:
        """An attachment, or what is taken for one."""
        return self.random.choice((self.random.choice(BYTES), self.random.randbytes(8)))

    # Values

    def value(self, depth: int) -> Any:
        """A value that MessagePack can hold."""
        choice = self.random.choice
        if depth > 0 and self.random.random() < 0.4:
            if self.random.random() < 0.5:
                return [self.value(depth - 1) for _ in range(self.random.randrange(4))]
            keys = ("a", "token", "_placeholder", "num", "n", 1, None)
            return {choice(keys): self.value(depth - 1) for _ in range(self.random.randrange(4))}
        return choice(VALUES)

    # Breaking

    def maybe_broken(self, text: str) -> str:
        """Half of the time as it is: nothing deep is reached by broken input alone."""
        return self.break_text(text) if self.random.random() < 0.5 else text

    def _pack_maybe_broken(self, body: Any) -> bytes:
        data = msgspec.msgpack.encode(body)
        return self.break_bytes(data) if self.random.random() < 0.3 else data

    def break_text(self, text: str) -> str:
        """Cut, doubled, spliced, and with what does not belong there."""
        for _ in range(self.random.choice((1, 1, 1, 2, 4))):
            at = self.random.randrange(len(text) + 1)
            to = min(len(text), at + self.random.choice((0, 1, 1, 2, 8)))
            what = self.random.randrange(6)
            if what == 0:
                text = text[:at] + text[to:]
            elif what == 1:
                text = text[:at] + self.random.choice(TOKENS) + text[to:]
            elif what == 2:
                text = text[:at] + text[at:to] * self.random.choice((2, 3, 50)) + text[to:]
            elif what == 3:
                text = text[:at]
            elif what == 4:
                other = self.random.choice(self.random.choice((SOCKETIO, PLAIN)))
                text = text[:at] + other[self.random.randrange(len(other)) :]
            elif text:
                at = min(at, len(text) - 1)
                text = (
                    text[:at]
                    + chr(ord(text[at]) ^ (1 << self.random.randrange(7)))
                    + text[at + 1 :]
                )
        return text

    def break_bytes(self, data: bytes) -> bytes:
        """The same for bytes."""
        for _ in range(self.random.choice((1, 1, 1, 2, 4))):
            at = self.random.randrange(len(data) + 1)
            to = min(len(data), at + self.random.choice((0, 1, 1, 2, 8)))
            what = self.random.randrange(5)
            if what == 0:
                data = data[:at] + data[to:]
            elif what == 1:
                data = data[:at] + self.random.choice(BYTES) + data[to:]
            elif what == 2:
                data = data[:at] + data[at:to] * self.random.choice((2, 3, 50)) + data[to:]
            elif what == 3:
                data = data[:at]
            elif data:
                at = min(at, len(data) - 1)
                data = (
                    data[:at]
                    + bytes((data[at] ^ (1 << self.random.randrange(8)),))
                    + data[at + 1 :]
                )
        return data
