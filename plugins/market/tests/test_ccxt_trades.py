"""What of ccxt's words is a trade, and what a feed of it is made of."""

from __future__ import annotations

from decimal import Decimal
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from lbproto import UsageError
from lbproto.testing import Serve
from lbproto_market import (
    CcxtFeed,
    Trade,
    market,
)
from lbproto_market.ccxt_client import read_trades

if TYPE_CHECKING:
    pass

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("name", ["mtgox", "../binance", ""])
async def test_an_exchange_that_there_is_not(serve: Serve, name: str) -> None:
    sentence = "no stream of an exchange" if find_spec("ccxt") else "install the extra"
    with pytest.raises(UsageError, match=sentence):
        async with serve(market(CcxtFeed(name, ["A/B"]))):
            pass


async def test_without_the_extra_it_says_so(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lbproto_market.ccxt_client.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"lbproto-market\[ccxt\]"):
        async with serve(market(CcxtFeed("binance", ["A/B"]))):
            pass


@pytest.mark.parametrize(
    ("symbols", "history", "message"),
    [
        (["BTC/USDT:USDT"], 0, "contracts cannot be had"),
        ([], 0, "some symbols"),
        (["A/B"], -1, "a history of 0 s or more"),
    ],
)
async def test_arguments_that_make_no_sense(
    symbols: list[str], history: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        CcxtFeed("binance", symbols, history=history)


def _raw(**fields: Any) -> dict[str, Any]:
    return {"timestamp": 1_000_000, "id": "7", "price": "10.50", "amount": "2", **fields}


async def test_trades_are_read_exactly() -> None:
    (trade,) = read_trades([_raw(amount="1.2e-07", side="sell")], "x")
    assert trade == Trade(1_000_000, 7, "x", Decimal("10.50"), Decimal("0.00000012"), "sell")


async def test_ids_that_are_no_numbers_become_some_that_grow_with_time() -> None:
    names = ["b7-aa", "00a", "-5", "²", "99999999999999999999", str(2**63)]
    trades = read_trades([_raw(id=name) for name in names], "x")
    assert len({trade.id for trade in trades}) == len(names)
    assert all(0 <= trade.id < 2**63 for trade in trades)
    assert trades == read_trades([_raw(id=name) for name in names], "x")
    (later,) = read_trades([_raw(id="b7-aa", timestamp=1_000_001)], "x")
    assert later.id > max(trade.id for trade in trades)


async def test_trades_without_ids_are_told_apart_by_what_they_are() -> None:
    same = [_raw(id=None), _raw(id=None), _raw(id=None, price="11")]
    trades = read_trades(same, "x")
    assert len({trade.id for trade in trades}) == 3
    assert trades == read_trades(same, "x")


@pytest.mark.parametrize(
    "fields",
    [
        {"timestamp": None},
        {"timestamp": "soon"},
        {"price": None},
        {"price": "NaN"},
        {"amount": "-1"},
        {"timestamp": None, "id": None},
    ],
    ids=str,
)
async def test_what_is_no_trade_is_left_out(
    fields: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    assert len(read_trades([_raw(**fields), _raw()], "x")) == 1
    assert "x: a trade is left out" in caplog.text
