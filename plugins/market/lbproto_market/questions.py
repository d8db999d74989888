"""What a node asks the one that has the feeds, and what it is answered."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
from msgspec import Raw

from lbproto_market.events import MarketChartInitialData, MarketDataResponse, RequestMarketData

__all__ = [
    "Answer",
    "Ask",
    "Begin",
    "Candles",
    "Leads",
    "Live",
    "Message",
    "Question",
    "Snapshot",
    "Wants",
    "decode",
    "encode",
]


class Snapshot(msgspec.Struct, frozen=True, tag="snapshot"):
    """What a chart's room begins with; from then on, what changes is told there."""

    symbol: str
    resolution: str
    room: str
    answer: ClassVar[Any] = MarketChartInitialData


class Candles(msgspec.Struct, frozen=True, tag="candles"):
    """What a request for candles is answered."""

    request: RequestMarketData
    answer: ClassVar[Any] = MarketDataResponse


class Begin(msgspec.Struct, frozen=True, tag="begin"):
    """Have a symbol's feeds run, and its trades told in a room; answered once history is in."""

    symbol: str
    room: str
    answer: ClassVar[Any] = None


class Live(msgspec.Struct, frozen=True, tag="live"):
    """Which of some symbols have trades that come in."""

    symbols: list[str]
    answer: ClassVar[Any] = list[bool]


Question = Snapshot | Candles | Begin | Live


class _Said(msgspec.Struct, frozen=True):
    """A message between nodes; `node` is who says it."""

    node: str


class Leads(_Said, frozen=True, tag="leads"):
    """The node has the feeds. It says so again and again; `term` counts how often it got them."""

    term: int


class Wants(_Said, frozen=True, tag="wants"):
    """The rooms that a node's clients are in: all of them, again and again."""

    rooms: list[str]


class Ask(_Said, frozen=True, tag="ask"):
    """Asks the leader; `id` is the asker's own."""

    id: int
    question: Question


class Answer(_Said, frozen=True, tag="answer"):
    """Answers that, or refuses it, with the code, the message and seconds to wait."""

    id: int
    body: Raw = Raw(b"\xc0")  # nil
    refusal: tuple[str, str, float | None] | None = None


Message = Leads | Wants | Ask | Answer

encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Message).decode
