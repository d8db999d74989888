"""A small chain whose payments are made up, so that there is something to find."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from tempfile import TemporaryDirectory
from weakref import finalize

from lbproto_compliance import StaticPrices, Store
from lbproto_compliance.sources import Attribution, Batch, Transfer

__all__ = ["CHAIN", "LAGOS", "NOBODY", "PRICES", "TRADER", "made_store"]

CHAIN = "ethereum"
BOSTON, LAGOS, TRADER, MIXER, NOBODY = (f"0x{pair * 20}" for pair in ("b0", "1a", "7d", "3c", "00"))

PRICES = StaticPrices({"ETH": {date(2026, 1, day): Decimal(3_000 + day) for day in (5, 6)}})

_FIRST = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)

# Height, sender, receiver, and hundredths of an ether. A block comes every hour.
_PAYMENTS = (
    (100, BOSTON, LAGOS, 200),
    (101, LAGOS, BOSTON, 50),
    (102, MIXER, TRADER, 300),
    (103, BOSTON, TRADER, 100),
    (104, TRADER, LAGOS, 250),
    (124, BOSTON, LAGOS, 120),
)
_SAID = (
    (BOSTON, "Example Exchange, Boston", "exchange", "US"),
    (LAGOS, "Example Exchange, Lagos", "exchange", "NG"),
    (MIXER, "Example Mixer", "mixer", None),
)


def made_store() -> Store:
    """A new one, in a directory that goes when the store does."""
    directory = TemporaryDirectory(prefix="lbproto-exchanges-")
    store = Store(directory.name)
    finalize(store, directory.cleanup)
    chain = store.chain(CHAIN)
    staging = chain.stage()
    staging.add("payments", "transfers", Batch([_transfer(*each) for each in _PAYMENTS], [], "", 1))
    staging.add("said", "attributions", Batch([_attribution(*each) for each in _SAID], [], "", 1))
    chain.commit(staging)
    return store


def _transfer(height: int, sender: str, receiver: str, hundredths: int) -> Transfer:
    return Transfer(
        height=height,
        timestamp=(_FIRST + timedelta(hours=height - 100)).replace(tzinfo=None),
        tx_index=0,
        position=0,
        tx_hash=f"0x{height:064x}",
        sender=sender,
        receiver=receiver,
        asset="ETH",
        value=str(hundredths * 10**16),
    )


def _attribution(address: str, label: str, category: str, country: str | None) -> Attribution:
    return Attribution(
        address=address,
        label=label,
        category=category,
        source="Example list",
        source_url="https://example.com/list",
        listed_on=date(2026, 1, 1),
        confidence=1.0,
        country=country,
        entity=None,
    )
