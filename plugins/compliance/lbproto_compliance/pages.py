"""Pages of an address's transactions."""

from __future__ import annotations

from datetime import UTC
from decimal import Decimal

import duckdb

from lbproto import NotFound, iso_timestamp
from lbproto_compliance.addresses import parse
from lbproto_compliance.chains import CHAINS, Chain
from lbproto_compliance.cursors import Cursor, Cursors
from lbproto_compliance.events import (
    AddressTransactions,
    AddressTransactionsResponse,
    Transaction,
)
from lbproto_compliance.prices import Prices, worth
from lbproto_compliance.store import ChainStore, Key, Movement, Snapshot, Store

__all__ = ["not_held", "page"]


def not_held(chain: str) -> NotFound:
    """The refusal of an address that no payment of the data has anything to do with."""
    return NotFound(f"this address is in none of the payments held here of {chain}")


def page(
    store: Store, cursors: Cursors, prices: Prices, request: AddressTransactions
) -> AddressTransactionsResponse:
    """The page that is asked for. Blocks.

    Raises:
        NotFound: the chain or the address is not held, or what the cursor is of is gone.
        InvalidRequest: the cursor belongs to another address.
    """
    address = parse(request.chain, request.address)
    chain = CHAINS[request.chain]
    held = store.chain(chain.name)
    snapshot, after = _beginning(held, cursors, request, address)
    try:
        found = snapshot.page(address, request.limit + 1, after)
    except duckdb.IOException:
        if snapshot.id in held.snapshots():
            raise
        raise _gone() from None  # pruned meanwhile, by another process
    if not found and after is None:
        raise not_held(chain.name)
    shown = found[: request.limit]
    next_cursor = None
    if len(found) > len(shown):
        next_cursor = cursors.write(Cursor(snapshot.id, shown[-1].key), chain.name, address)
    return AddressTransactionsResponse(
        chain=chain.name,
        address=address,
        transactions=[_transaction(movement, chain, prices) for movement in shown],
        next_cursor=next_cursor,
    )


def _beginning(
    store: ChainStore, cursors: Cursors, request: AddressTransactions, address: str
) -> tuple[Snapshot, Key | None]:
    """The snapshot that a page is of, and behind what it begins."""
    if request.cursor is None:
        return store.latest(), None
    cursor = cursors.read(request.cursor, request.chain, address)
    try:
        return store.snapshot(cursor.snapshot_id), cursor.after
    except NotFound:
        raise _gone() from None


def _gone() -> NotFound:
    return NotFound(
        "the data that the cursor is of are not kept any more: begin again without it "
        "- at `$.cursor`"
    )


def _transaction(movement: Movement, chain: Chain, prices: Prices) -> Transaction:
    timestamp = movement.timestamp.replace(tzinfo=UTC)
    usd = None
    if movement.value is not None:
        usd = worth(prices, chain, movement.asset, Decimal(movement.value), timestamp)
    return Transaction(
        tx_hash=movement.tx_hash,
        height=movement.height,
        timestamp=iso_timestamp(int(timestamp.timestamp()) * 1000),
        direction=movement.direction,
        value=movement.value,
        asset=movement.asset,
        counterparties=movement.counterparties,
        value_usd=None if usd is None else round(usd, 2),
    )
