"""A client that loses its connection: it comes back, misses nothing, or is told that it did."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

import anyio
import pytest

from lbproto import (
    Admission,
    Client,
    Disconnected,
    Identity,
    Limits,
    Overloaded,
    Reconnect,
    Recovery,
    Unauthorized,
    UsageError,
    Window,
)
from lbproto.client import Wire
from lbproto.messages import (
    Connected,
    Error,
    Ping,
    Pong,
    Recovered,
    ServerDraining,
    SessionExpiring,
    SessionLost,
    Subscribed,
    Unsubscribed,
)
from lbproto.testing import VirtualClock
from lbproto.wire import Peer
from tests.client.kit import (
    TWO_WIRES,
    Proxy,
    Said,
    Say,
    Site,
    connected,
    running,
    served,
    server_of,
    until,
)

pytestmark = pytest.mark.anyio

wires = pytest.mark.parametrize("wire", TWO_WIRES)
ROOM = "talk:a"
FORGETFUL = Recovery(max_events=1)


@asynccontextmanager
async def pair(url: str, wire: Wire) -> AsyncIterator[tuple[Client, Client, Proxy]]:
    """A client behind a network that breaks, and one that talks to it."""
    async with (
        Proxy.before(url) as proxy,
        connected(proxy.url, wire=wire) as client,
        connected(url, "bob") as bob,
    ):
        yield client, bob, proxy


async def away(client: Client, proxy: Proxy) -> None:
    """Lose the connection, and have none for now."""
    proxy.accepting = False
    proxy.cut()
    while client.is_connected:  # noqa: ASYNC110 - nothing tells of that
        await anyio.sleep(0.005)


@wires
async def test_what_was_missed_comes_when_the_session_goes_on(wire: Wire) -> None:
    async with served(Site().plugin()) as url, pair(url, wire) as (client, bob, proxy):
        heard = client.listen(Said, Recovered, SessionLost)
        await client.subscribe(ROOM)
        sid = client.sid
        await bob.request(Say(room=ROOM, text="before"))
        assert await anext(heard) == Said(ROOM, "welcome")
        assert await anext(heard) == Said(ROOM, "before")
        await away(client, proxy)
        await bob.request(Say(room=ROOM, text="missed", count=3))
        proxy.accepting = True
        assert [await anext(heard) for _ in range(4)] == [
            *(Said(ROOM, "missed", number) for number in range(3)),
            Recovered(missed=3),
        ]
        await bob.request(Say(room=ROOM, text="after"))
        assert await anext(heard) == Said(ROOM, "after")
        assert client.sid == sid


@wires
async def test_a_session_that_was_lost_is_told_and_its_rooms_are_joined_again(wire: Wire) -> None:
    server = served(Site().plugin(), recovery=FORGETFUL)
    async with server as url, pair(url, wire) as (client, bob, proxy):
        heard = client.listen(Connected, Said, Recovered, SessionLost, Subscribed)
        await client.subscribe(ROOM)
        assert [type(await anext(heard)) for _ in range(2)] == [Subscribed, Said]
        await away(client, proxy)
        await bob.request(Say(room=ROOM, text="missed", count=200))
        proxy.accepting = True
        kinds = [type(await anext(heard)) for _ in range(4)]
        assert kinds == [Connected, SessionLost, Subscribed, Said]
        await bob.request(Say(room=ROOM, text="after"))
        assert await anext(heard) == Said(ROOM, "after")
        assert client.rooms == {ROOM}


async def test_that_is_told_also_where_the_server_keeps_no_sessions() -> None:
    server = served(Site().plugin(), recovery=None)
    async with server as url, pair(url, "plain-json") as (client, _bob, proxy):
        await client.subscribe(ROOM)
        heard = client.listen(Connected, SessionLost, Subscribed)
        proxy.cut()
        assert [type(await anext(heard)) for _ in range(3)] == [Connected, SessionLost, Subscribed]


async def test_a_room_that_does_not_let_it_in_again_is_left() -> None:
    site = Site()
    server = served(site.plugin(), recovery=None)
    async with server as url, pair(url, "plain-json") as (client, _bob, proxy):
        await client.subscribe(ROOM)
        await client.subscribe("talk:b")
        heard = client.listen(Error, Subscribed)
        site.closed.add("a")
        proxy.cut()
        refused = await anext(heard)
        assert isinstance(refused, Error)
        assert refused.message == "nobody talks there"
        assert await anext(heard) == Subscribed("talk:b", 1)
        assert client.rooms == {"talk:b"}


async def test_a_room_that_it_was_put_out_of_is_left() -> None:
    site = Site()
    async with served(site.plugin()) as url, pair(url, "plain-json") as (client, _bob, proxy):
        await client.subscribe(ROOM)
        heard = client.listen(Unsubscribed, Recovered)
        site.closed.add("a")
        proxy.cut()
        assert await anext(heard) == Unsubscribed(ROOM)
        assert client.rooms == frozenset()


async def test_rooms_are_joined_again_as_fast_as_the_server_lets() -> None:
    limits = Limits(per_session=Window(4, 0.4), default="unlimited")
    server = served(Site().plugin(), recovery=None, limits=limits)
    async with server as url, Proxy.before(url) as proxy, connected(proxy.url) as client:
        for name in "abc":
            await client.subscribe(f"talk:{name}")
            await anyio.sleep(0.12)  # so that there is room for one more
        heard = client.listen(Subscribed)
        proxy.cut()
        assert {(await anext(heard)).room for _ in range(3)} == client.rooms


@wires
async def test_a_server_that_does_not_take_the_token_is_not_asked_again(wire: Wire) -> None:
    async with served(Site().plugin()) as url:
        with pytest.raises(Unauthorized, match="no token"):
            async with connected(url, "", wire=wire):
                raise AssertionError("it was let in")


async def test_a_user_with_too_many_sessions_may_come_later() -> None:
    site, admission = Site(), Admission(max_sessions_per_user=1)
    async with served(site.plugin(), admission=admission) as url, connected(url):
        with pytest.raises(Overloaded, match="too many sessions"):
            async with connected(url):
                raise AssertionError("it was let in")
        with pytest.raises(Disconnected) as later:
            async with connected(url, wire="socketio-json"):
                raise AssertionError("it was let in")
        assert later.value.retryable


@wires
async def test_who_is_disconnected_by_the_server_does_not_come_back(wire: Wire) -> None:
    server = server_of(Site().plugin())
    async with running(server) as url, connected(url, wire=wire) as client:
        heard = client.listen(Pong)
        await server.disconnect("ada")
        with pytest.raises(Disconnected) as end:
            await anext(heard)
        assert not end.value.retryable
        assert end.value.code == 1008
        assert not client.is_connected
        with pytest.raises(Disconnected):
            await client.request(Ping())


class Lender:
    """Tokens that last for 100 s of a clock.

    Attributes:
        clock: the server's.
        lent: how many.
        shown: those that the server has seen, in order.
    """

    def __init__(self, bad: int = 0) -> None:
        self.clock = VirtualClock()
        self.lent = 0
        self.shown: list[int] = []
        self._bad = bad  # which of them is not accepted

    def __call__(self) -> str:
        self.lent += 1
        return str(self.lent)

    async def authenticate(self, token: str, peer: Peer) -> Identity:
        self.shown.append(int(token))
        if self.shown[-1] == self._bad:
            raise Unauthorized("not this one")
        return Identity("ada", expires_at=self.clock.now() + 100)

    def has_seen(self, token: int) -> bool:
        """Whether the server has, last."""
        return self.shown[-1] == token

    def lending(self) -> AbstractAsyncContextManager[str]:
        """Run a server that lets nobody stay longer than that."""
        admission = Admission(expiry="enforce")
        return served(Site().plugin(), auth=self, admission=admission, clock=self.clock)


async def test_a_session_is_renewed_before_its_token_expires() -> None:
    lender = Lender()
    async with lender.lending() as url, connected(url, token=lender) as client:
        heard = client.listen(SessionExpiring, Connected)
        for turn in (2, 3):
            await lender.clock.advance(60)
            assert isinstance(await anext(heard), SessionExpiring)
            await until(partial(lender.has_seen, turn))
        assert client.is_connected


async def test_one_that_has_expired_is_resumed_with_another_token() -> None:
    lender = Lender(bad=2)
    async with lender.lending() as url, connected(url, token=lender) as client:
        heard = client.listen(Recovered)
        await lender.clock.advance(60)
        await until(lambda: lender.shown == [1, 2])
        await lender.clock.advance(60)
        assert await anext(heard) == Recovered(missed=0)
        assert lender.shown == [1, 2, 3]


async def test_without_another_token_it_ends() -> None:
    lender = Lender()
    async with lender.lending() as url, connected(url, token=lender()) as client:
        await lender.clock.advance(120)
        with pytest.raises(Disconnected) as end:
            await anext(client.listen(Recovered))
        assert end.value.code == 4401


async def test_a_token_that_cannot_be_had_is_asked_for_again() -> None:
    calls = 0

    async def token() -> str:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise OSError("the provider is away")
        return "ada"

    async with (
        served(Site().plugin()) as url,
        Proxy.before(url) as proxy,
        connected(proxy.url, token=token) as client,
    ):
        heard = client.listen(Recovered)
        proxy.cut()
        assert await anext(heard) == Recovered(missed=0)
    assert calls == 3


async def test_it_gives_up_after_so_many_attempts_in_a_row() -> None:
    async with served(Site().plugin()) as url, Proxy.before(url) as proxy:
        few = Reconnect(first=0.01, most=0.01, attempts=3)
        async with connected(proxy.url, reconnect=few) as client:
            await away(client, proxy)
            with pytest.raises(Disconnected, match="closed the connection at once"):
                await client.request(Ping())
        proxy.accepting = True
        async with connected(proxy.url, reconnect=None) as client:
            proxy.cut()
            with pytest.raises(Disconnected, match="was lost"):
                await anext(client.listen(Pong))


async def test_a_server_that_drains_is_not_there_for_now() -> None:
    server = server_of(Site().plugin())
    async with running(server) as url, connected(url) as client:
        heard = client.listen(ServerDraining)
        await server.drain(0.05)
        assert await anext(heard) == ServerDraining(retry_after=1)
        with pytest.raises(Disconnected, match="takes no new connections now") as later:
            async with connected(url):
                raise AssertionError("it was let in")
        assert later.value.retryable
        assert later.value.retry_after == 1


def test_it_comes_back_after_a_random_time_below_a_ceiling_that_doubles() -> None:
    reconnect = Reconnect(first=1, most=30)
    assert [reconnect.ceiling(attempt) for attempt in (0, 1, 4, 5, 10**9)] == [1, 2, 16, 30, 30]
    delays = [reconnect.delay(3, None) for _ in range(500)]
    assert 0 <= min(delays) < 2
    assert 6 < max(delays) <= 8
    assert 5 <= reconnect.delay(0, 5.0) <= 6
    assert reconnect.delay(0, 1e9) <= 601
    assert reconnect.delay(0, -5.0) <= 1


@pytest.mark.parametrize(("first", "most"), [(0, 1), (2, 1)])
def test_ceilings_that_make_no_sense(first: float, most: float) -> None:
    with pytest.raises(UsageError, match="the first ceiling is above 0"):
        Reconnect(first=first, most=most)
