from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest

from lbproto_compliance.prices import NoPrices, StaticPrices

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
PRICES = StaticPrices({"BTC": {date(2024, 3, 1): Decimal("62440.5")}})


def test_an_amount_has_the_price_of_its_day() -> None:
    assert PRICES.usd("BTC", Decimal(2), NOON) == 124881.0
    assert PRICES.usd("BTC", Decimal("0.00000001"), NOON) == pytest.approx(0.000624405)


def test_a_day_is_one_of_utc() -> None:
    behind = NOON.replace(hour=20).astimezone(timezone(timedelta(hours=9)))
    assert behind.date() == date(2024, 3, 2)
    assert PRICES.usd("BTC", Decimal(1), behind) == 62440.5
    assert PRICES.usd("BTC", Decimal(1), NOON.replace(tzinfo=None)) == 62440.5


def test_what_is_not_known_is_not_made_up() -> None:
    assert PRICES.usd("BTC", Decimal(1), NOON + timedelta(days=1)) is None
    assert PRICES.usd("ETH", Decimal(1), NOON) is None
    assert NoPrices().usd("BTC", Decimal(1), NOON) is None


def test_a_table_may_be_a_file(tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    file.write_text("asset,day,usd\nBTC,2024-03-01,62440.5\nETH,2024-03-01,3435\n")
    prices = StaticPrices.of_csv(str(file))  # as the README has it
    assert prices.usd("BTC", Decimal(2), NOON) == 124881.0
    assert prices.usd("ETH", Decimal(2), NOON) == 6870.0


@pytest.mark.parametrize(
    "rest", ["", "1 May,5", "2024-05-01,high", "2024-05-01,-1", "2024-05-01,NaN"]
)
def test_a_malformed_row_is_named(tmp_path: Path, rest: str) -> None:
    file = tmp_path / "prices.csv"
    file.write_text(f"asset,day,usd\nBTC,2024-02-29,1\nBTC,{rest}\n")
    with pytest.raises(ValueError, match=r"prices\.csv, line 3: no asset, day and price in it"):
        StaticPrices.of_csv(file)
