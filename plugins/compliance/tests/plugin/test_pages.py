"""Transactions of an address, page by page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from lbproto.messages import Error, ValidationError
from lbproto_compliance.cursors import Cursor, Cursors
from lbproto_compliance.events import AddressTransactionsResponse, Transaction
from lbproto_compliance.prices import StaticPrices
from lbproto_compliance.store import Key, Store

if TYPE_CHECKING:
    from tests.plugin.conftest import Ledger

pytestmark = pytest.mark.anyio

ENDS = (AddressTransactionsResponse, Error, ValidationError)
KEY = bytes(32)


@pytest.fixture(scope="module")
def busy(new_ledger: Callable[[], Ledger]) -> Ledger:
    """1 has paid 2 in each of 25 blocks."""
    ledger = new_ledger()
    ledger.add([ledger.pays(height, 1, 2, height) for height in range(25)])
    return ledger


async def page(ledger: Ledger, client: Any, number: int = 2, **more: Any) -> Any:
    """One answer."""
    data = {"chain": "ethereum", "address": ledger.address(number)} | more
    (answer,) = await ledger.answer(client, "address_transactions", *ENDS, **data)
    return answer


async def test_a_transaction_is_told_as_the_contract_has_it(ledger: Ledger) -> None:
    token = ledger.address(99)
    ledger.add([ledger.pays(3, 1, 2, 15 * 10**17), ledger.pays(4, 2, 5, 7, token)])
    prices = StaticPrices({"ETH": {date(2024, 3, 1): Decimal("3341.5")}})
    async with ledger.served(prices=prices) as (_, client):
        answer = await page(ledger, client)
    assert (answer.chain, answer.address) == ("ethereum", ledger.address(2))
    assert answer.next_cursor is None
    assert answer.transactions == [
        Transaction(
            tx_hash=f"0x{4:032x}{2:032x}",
            height=4,
            timestamp="2024-03-01T04:00:00.000Z",
            direction="out",
            value="7",
            asset=token,
            counterparties=[ledger.address(5)],
        ),
        Transaction(
            tx_hash=f"0x{3:032x}{1:032x}",
            height=3,
            timestamp="2024-03-01T03:00:00.000Z",
            direction="in",
            value="1500000000000000000",
            asset="ETH",
            counterparties=[ledger.address(1)],
            value_usd=5012.25,
        ),
    ]


async def test_an_address_is_answered_in_its_canonical_form(busy: Ledger) -> None:
    async with busy.served() as (_, client):
        answer = await page(busy, client, address="0x" + busy.address(2)[2:].upper(), limit=1)
    assert answer.address == busy.address(2)


@pytest.mark.parametrize("limit", [7, 25, 26])
async def test_pages_are_newest_first_without_gap_or_overlap(busy: Ledger, limit: int) -> None:
    async with busy.served() as (_, client):
        answer = await page(busy, client, limit=limit)
        told = list(answer.transactions)
        while answer.next_cursor is not None:
            assert len(answer.transactions) == limit
            answer = await page(busy, client, limit=limit, cursor=answer.next_cursor)
            told += answer.transactions
    assert [transaction.height for transaction in told] == list(range(24, -1, -1))


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # imports cost the most, and know no loop
async def test_a_walk_is_of_one_snapshot_while_blocks_are_imported(ledger: Ledger) -> None:
    heights = []
    ledger.add([ledger.pays(height, 1, 2, height) for height in range(25)])
    async with ledger.served() as (_, client):
        answer = await page(ledger, client, limit=10)
        for new in range(100, 103):
            heights += [transaction.height for transaction in answer.transactions]
            ledger.add(
                [ledger.pays(new, 1, 2, 1), ledger.pays(new - 88, 3, 2, 1)]
            )  # late ones, too
            if answer.next_cursor is not None:
                answer = await page(ledger, client, limit=10, cursor=answer.next_cursor)
        assert answer.next_cursor is None
        assert heights == list(range(24, -1, -1))
        assert (await page(ledger, client, limit=1)).transactions[0].height == 102


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # imports cost the most, and know no loop
async def test_a_cursor_into_what_is_pruned_says_to_begin_again(ledger: Ledger) -> None:
    ledger.add([ledger.pays(height, 1, 2, height) for height in range(25)])
    async with ledger.served() as (_, client):
        cursor = (await page(ledger, client, limit=10)).next_cursor
        ledger.add([ledger.pays(100, 1, 2, 1)])
        ledger.store.chain("ethereum").prune(1)
        error = await page(ledger, client, limit=10, cursor=cursor)
    assert isinstance(error, Error)
    assert error.code == "NOT_FOUND"
    assert "begin again without it - at `$.cursor`" in error.message


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # imports cost the most, and know no loop
async def test_it_says_so_too_where_another_process_has_pruned(ledger: Ledger) -> None:
    ledger.add([ledger.pays(height, 1, 2, height) for height in range(25)])
    async with ledger.served() as (_, client):
        cursor = (await page(ledger, client, limit=10)).next_cursor
        ledger.add([ledger.pays(5, 7, 2, 1)])
        other = Store(ledger.store.directory).chain("ethereum")  # what this one holds open, goes
        for part in other.snapshot(other.snapshots()[0]).manifest.of("movements"):
            (other.layout.parts / part.name).unlink()
        (other.layout.snapshots / f"{other.snapshots()[0]}.json").unlink()
        error = await page(ledger, client, limit=10, cursor=cursor)
    assert isinstance(error, Error)
    assert error.code == "NOT_FOUND"
    assert "begin again" in error.message


async def test_a_cursor_is_good_for_its_address_only(busy: Ledger) -> None:
    async with busy.served() as (_, client):
        cursor = (await page(busy, client, limit=10)).next_cursor
        for changed in (
            await page(busy, client, 1, cursor=cursor),
            await page(busy, client, cursor=cursor[:-1]),
            await page(busy, client, cursor=cursor[:10] + "A" * 6 + cursor[16:]),
            await page(busy, client, cursor=""),
            await page(busy, client, cursor="\u2603"),
        ):
            assert isinstance(changed, ValidationError)
            assert "at `$.cursor`" in changed.message
        assert isinstance(await page(busy, client, cursor="A" * 1000), ValidationError)


async def test_all_nodes_of_a_store_read_each_others_cursors(busy: Ledger) -> None:
    async with busy.served() as (_, one), busy.served() as (_, other):
        cursor = (await page(busy, one, limit=10)).next_cursor
        assert (await page(busy, other, limit=10, cursor=cursor)).transactions[0].height == 14
    async with busy.served(key=KEY) as (_, client):
        assert isinstance(await page(busy, client, cursor=cursor), ValidationError)
        made = Cursor(busy.store.chain("ethereum").latest().id, Key(1, 1, "ETH"))
        cursor = Cursors(KEY).write(made, "ethereum", busy.address(2))
        answer = await page(busy, client, cursor=cursor)
        assert [transaction.height for transaction in answer.transactions] == [0]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # it is refused before any loop matters
@pytest.mark.parametrize(
    ("data", "code", "kind"),
    [
        ({"address": f"0x{77:040x}"}, "NOT_FOUND", Error),
        ({"chain": "tron", "address": "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"}, "NOT_FOUND", Error),
        ({"chain": "dogecoin"}, "NOT_FOUND", Error),
        ({"address": "0x1"}, "INVALID_REQUEST", ValidationError),
        ({"limit": 0}, "INVALID_REQUEST", ValidationError),
        ({"limit": 501}, "INVALID_REQUEST", ValidationError),
        ({"cursor": 5}, "INVALID_REQUEST", ValidationError),
    ],
)
async def test_what_is_refused(
    busy: Ledger, data: Any, code: str, kind: type[Error | ValidationError]
) -> None:
    async with busy.served() as (_, client):
        error = await page(busy, client, **data)
    assert isinstance(error, kind)
    assert error.code == code
    assert error.event == "address_transactions"
