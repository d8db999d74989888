"""The request that every server of a comparison answers, checked by msgspec."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["answer", "answer_bytes"]


class _Params(msgspec.Struct):
    symbol: str
    side: Literal["buy", "sell"]
    qty: float
    price: float


class _Request(msgspec.Struct):
    id: int
    method: str
    params: _Params


class _Result(msgspec.Struct):
    order_id: str
    symbol: str
    status: str
    filled: float


class _Answer(msgspec.Struct):
    id: int
    result: _Result


_decoder = msgspec.json.Decoder(_Request)
_encoder = msgspec.json.Encoder()


def answer_bytes(request: str | bytes) -> bytes:
    """Answer an order.

    Raises:
        msgspec.ValidationError: it is none.
    """
    order = _decoder.decode(request)
    result = _Result("A1B2C3D4", order.params.symbol, "accepted", 0.0)
    return _encoder.encode(_Answer(order.id, result))


def answer(request: str | bytes) -> str:
    """The same as text."""
    return answer_bytes(request).decode()
