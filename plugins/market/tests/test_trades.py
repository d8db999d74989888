from __future__ import annotations

from decimal import Decimal

import pytest

from lbproto_market import Trade
from lbproto_market.trades import MalformedTrade, parse_trade


@pytest.mark.parametrize(
    "fields",
    [
        ("0", "0", "0.000000000000000001", "0"),
        ("32503679999999", str((1 << 63) - 1), "1E+18", "999999999999999999.999999999999999999"),
    ],
)
def test_the_widest_trades_there_are(fields: tuple[str, str, str, str]) -> None:
    timestamp_ms, id_, price, amount = fields
    assert parse_trade(*fields, venue="binance") == Trade(
        int(timestamp_ms), int(id_), "binance", Decimal(price), Decimal(amount)
    )


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (("-1", "1", "1", "1"), "timestamp_ms -1 is outside"),
        (("1675329600000000", "1", "1", "1"), "outside the years"),
        (("1", "-1", "1", "1"), "id -1 is outside"),
        (("1", str(1 << 63), "1", "1"), "id 9223372036854775808 is outside"),
        (("1", "1", "0", "1"), "price 0 is not a number above 0"),
        (("1", "1", "-0.5", "1"), "price"),
        (("1", "1", "NaN", "1"), "price NaN"),
        (("1", "1", "sNaN", "1"), "price sNaN"),
        (("1", "1", "Infinity", "1"), "price Infinity"),
        (("1", "1", "1E-19", "1"), "price 1E-19"),
        (("1", "1", "1E+19", "1"), "price"),
        (("1", "1", "1", "-1"), "amount -1"),
        (("1", "1", "1", "1E-400"), "amount"),
        (("x", "1", "1", "1"), "not four numbers"),
        (("1", "", "1", "1"), "not four numbers"),
        (("1", "1", "1,5", "1"), "not four numbers"),
        (("9" * 5000, "1", "1", "1"), "not four numbers"),
    ],
)
def test_what_is_no_trade(fields: tuple[str, str, str, str], reason: str) -> None:
    with pytest.raises(MalformedTrade, match=reason) as caught:
        parse_trade(*fields, venue="binance")
    assert len(str(caught.value)) < 200
