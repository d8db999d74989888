"""What assets are worth in US dollars: a port, and a table of daily prices behind it."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Protocol

from lbproto_compliance.chains import Chain

__all__ = ["NoPrices", "Prices", "StaticPrices", "worth"]


class Prices(Protocol):
    """Where prices come from. Called from several threads, and often: it must not wait."""

    def usd(self, asset: str, amount: Decimal, at: datetime) -> float | None:
        """What an amount was worth.

        Args:
            asset: a chain's own, by its symbol. Tokens are not asked for: what a whole one is, is
                not in the data.
            amount: whole ones, not base units.
            at: when, UTC.

        Returns:
            US dollars; None where it is not known. It is never a guess.
        """
        ...


class StaticPrices:
    """A table of daily prices; a day that is not in it has none.

    Args:
        table: by asset and day (UTC), the price of a whole one in US dollars.
    """

    def __init__(self, table: Mapping[str, Mapping[date, Decimal]]) -> None:
        self._table = {asset: dict(days) for asset, days in table.items()}

    @classmethod
    def of_csv(cls, path: str | Path) -> StaticPrices:
        """A table in a CSV file with the columns `asset`, `day` (ISO 8601) and `usd`.

        Raises:
            OSError: it cannot be read.
            ValueError: a row is malformed, or its price is not a price; the message names the line.
        """
        path = Path(path)
        with path.open(newline="", encoding="utf-8") as file:
            return cls(_read(csv.DictReader(file), path))

    def usd(self, asset: str, amount: Decimal, at: datetime) -> float | None:
        day = (at.astimezone(UTC) if at.tzinfo is not None else at).date()
        price = self._table.get(asset, {}).get(day)
        return None if price is None else float(amount * price)


class NoPrices:
    """Knows no price."""

    def usd(self, asset: str, amount: Decimal, at: datetime) -> float | None:  # noqa: ARG002 - the port's
        return None


def worth(prices: Prices, chain: Chain, asset: str, amount: Decimal, at: datetime) -> float | None:
    """What an amount in base units was worth; None where it is not known.

    Tokens have no value here: how many base units make a whole one is not in the data.
    """
    if asset != chain.asset:
        return None
    return prices.usd(asset, amount.scaleb(-chain.decimals), at)


def _read(rows: Iterable[dict[str, str]], path: Path) -> dict[str, dict[date, Decimal]]:
    table: dict[str, dict[date, Decimal]] = {}
    for line, row in enumerate(rows, 2):
        try:
            price = Decimal(row["usd"])
            if not price.is_finite() or price < 0:
                raise ValueError("a price is a number of 0 or more")
            table.setdefault(row["asset"], {})[date.fromisoformat(row["day"])] = price
        except (KeyError, TypeError, ValueError, InvalidOperation) as error:
            raise ValueError(f"{path}, line {line}: no asset, day and price in it") from error
    return table
