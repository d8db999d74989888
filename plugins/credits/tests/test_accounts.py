from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

import pytest

from lbproto import (
    Admission,
    Context,
    CreditBalanceUpdated,
    CreditsDeducted,
    CreditsGranted,
    CreditsInsufficient,
    Event,
    Identity,
    Plugin,
    Server,
    UsageError,
)
from lbproto.ledger.memory import MemoryLedger
from lbproto.messages import Error, ValidationError
from lbproto.testing import AnyToken, Serve, VirtualClock, connect
from lbproto_credits import (
    CreditEntry,
    CreditsBalance,
    CreditsBalanceResponse,
    CreditsHistory,
    CreditsHistoryResponse,
    accounts,
)

pytestmark = pytest.mark.anyio

_AT = "2026-01-20T12:00:00.000Z"


class Report(Event):
    pages: int = 1


class ReportReady(Event):
    pass


def _reports() -> Plugin:
    plugin = Plugin("reports")

    @plugin.on(Report, price=lambda request: 2 * request.pages)
    async def report(_ctx: Context, _request: Report) -> ReportReady:
        return ReportReady()

    return plugin


async def _authorize(_identity: Identity, application_id: str) -> bool:
    return application_id in ("default", "shop")


async def test_every_movement_is_told_to_every_session(serve: Serve) -> None:
    async with (
        serve(accounts(), _reports(), credits=MemoryLedger()) as server,
        connect(server, "ada") as client,
        connect(server, "ada", wire="plain-msgpack") as other,
        connect(server, "bob") as stranger,
    ):
        await server.credits.grant("ada", 10, "welcome", transaction_id="w")
        for each in (client, other):
            assert await each.take() == [
                CreditsGranted(10, 10, "welcome", "w", _AT),
                CreditBalanceUpdated(10, 10, 0, "default", 1),
            ]
        await client.request(Report(pages=3), ReportReady)
        spent = await client.expect(CreditsDeducted, amount=6, new_balance=4, action="report")
        await client.expect(CreditBalanceUpdated, lifetime_spent=6, version=2)
        await other.expect(CreditsDeducted, transaction_id=spent.transaction_id)
        await other.take()
        await client.request(Report(pages=3), CreditsInsufficient)
        await server.credits.adjust("ada", -1, "a mistake")
        await client.expect(CreditsDeducted, amount=1, action="a mistake")
        await other.expect(CreditsDeducted)  # of what is insufficient it is not told
        await stranger.expect_nothing()


async def test_the_balance_and_what_of_it_is_available(serve: Serve, clock: VirtualClock) -> None:
    async with (
        serve(accounts(), credits=MemoryLedger()) as server,
        connect(server, "ada") as client,
    ):
        empty = await client.request(CreditsBalance(), CreditsBalanceResponse)
        assert empty == CreditsBalanceResponse(0, 0, 0, 0, "default", 0)
        await server.credits.grant("ada", 10, "welcome")
        moment = int(clock.now() * 1000) + 1_000
        await server.credits.grant("ada", 5, "for a second", expires_at=moment)
        await server.credits.adjust("ada", -4, "a mistake")
        clock.jump(1)
        found = await client.request(CreditsBalance(), CreditsBalanceResponse)
        # What expires first is taken away first: one of the five was left.
        assert found == CreditsBalanceResponse(10, 10, 15, 0, "default", 4)


async def test_the_history_page_by_page(serve: Serve) -> None:
    async with (
        serve(accounts(), credits=MemoryLedger()) as server,
        connect(server, "ada") as client,
    ):
        for number in range(1, 8):
            await server.credits.grant("ada", number, f"gift {number}", transaction_id=f"g{number}")
        page = await client.request(CreditsHistory(limit=3), CreditsHistoryResponse)
        assert page.entries[0] == CreditEntry("granted", 7, 28, "gift 7", "g7", _AT, 7)
        pages = [page]
        while page.next_cursor is not None:
            await server.credits.grant("ada", 1, "meanwhile")
            request = CreditsHistory(limit=3, cursor=page.next_cursor)
            page = await client.request(request, CreditsHistoryResponse)
            pages.append(page)
        versions = [[entry.version for entry in page.entries] for page in pages]
        assert versions == [[7, 6, 5], [4, 3, 2], [1]]


async def test_a_page_that_ends_with_the_first_movement_is_the_last(serve: Serve) -> None:
    async with (
        serve(accounts(), credits=MemoryLedger()) as server,
        connect(server, "ada") as client,
    ):
        empty = await client.request(CreditsHistory(), CreditsHistoryResponse)
        assert (empty.entries, empty.next_cursor) == ([], None)
        await server.credits.grant("ada", 1, "one")
        page = await client.request(CreditsHistory(limit=1), CreditsHistoryResponse)
        assert (len(page.entries), page.next_cursor) == (1, None)


@pytest.mark.parametrize("cursor", ["7", "v0", "v", "v-1", "v1x", "v٣", "v" + "9" * 17])
async def test_what_is_no_cursor_is_refused(serve: Serve, cursor: str) -> None:
    async with (
        serve(accounts(), credits=MemoryLedger()) as server,
        connect(server, "ada") as client,
    ):
        refusal = await client.request(CreditsHistory(cursor=cursor), ValidationError)
        assert refusal.message == "A cursor is the `nextCursor` of an answer - at `$.cursor`"


@pytest.mark.parametrize(
    ("event", "data", "path"),
    [
        ("credits_history", {"limit": 0}, "$.limit"),
        ("credits_history", {"limit": 501}, "$.limit"),
        ("credits_history", {"cursor": ""}, "$.cursor"),
        ("credits_history", {"applicationId": ""}, "$.applicationId"),
        ("credits_balance", {"applicationId": "x" * 129}, "$.applicationId"),
        ("credits_balance", {"applicationId": None}, "$.applicationId"),
    ],
)
async def test_a_payload_must_fit_its_schema(
    serve: Serve, event: str, data: dict[str, Any], path: str
) -> None:
    async with (
        serve(accounts(), credits=MemoryLedger()) as server,
        connect(server, "ada") as client,
    ):
        refusal = await client.request({"event": event, "data": data}, ValidationError)
        assert f"`{path}`" in refusal.message


async def test_another_application_has_to_be_the_users(serve: Serve) -> None:
    admission = Admission(authorize=_authorize)
    async with (
        serve(accounts(), credits=MemoryLedger(), admission=admission) as server,
        connect(server, "ada") as client,
    ):
        await server.credits.grant("ada", 7, "welcome", application_id="shop")
        await client.take()
        found = await client.request(CreditsBalance("shop"), CreditsBalanceResponse)
        assert (found.balance, found.application_id) == (7, "shop")
        page = await client.request(CreditsHistory("shop"), CreditsHistoryResponse)
        assert (len(page.entries), page.application_id) == (1, "shop")
        for request in (CreditsBalance("theirs"), CreditsHistory("theirs")):
            assert (await client.request(request, Error)).code == "UNAUTHORIZED"
        assert (await client.request(CreditsBalance(), CreditsBalanceResponse)).balance == 0


async def test_without_a_store_the_server_does_not_start() -> None:
    server = Server([accounts()], auth=AnyToken())
    with pytest.raises(UsageError, match=r"keeps no credits: .* credits=MemoryLedger\(\)"):
        async with server.lifespan():
            pass


def test_it_is_installed() -> None:
    (entry,) = entry_points(group="lbproto.plugins", name="credits")
    assert entry.load() is accounts
