"""Whose record a session's is: a node changes none that is another's by now."""

from __future__ import annotations

import pytest

from lbproto import Identity
from lbproto.backends.memory import MemoryStorage
from lbproto.errors import Overloaded
from lbproto.sessions.places import Places
from lbproto.sessions.session import Session
from lbproto.testing import VirtualClock, settle
from tests.core.harness import MemorySocket

pytestmark = pytest.mark.anyio

PID = "private"


class Failing(MemoryStorage):
    """Out of reach, now and then, for whoever writes."""

    fails = False

    async def put(self, key: str, value: bytes, *, ttl: float | None = None) -> None:
        if self.fails:
            raise Overloaded("out of reach")
        await super().put(key, value, ttl=ttl)


def session() -> Session:
    socket = MemorySocket()
    socket.pid = PID
    return Session(Identity("ada"), socket, "", 0.0, 0)


@pytest.mark.parametrize("is_first", [True, False])
async def test_what_a_node_leaves_is_nothing_once_another_has_taken_it_up(is_first: bool) -> None:
    clock = VirtualClock()
    storage = MemoryStorage(clock)
    one, two = Places(storage, clock, "one"), Places(storage, clock, "two")
    former, taken = session(), session()
    await one.begin(former, {"user:ada": ""})
    if is_first:
        await one.part({former: (7, ())})
    await two.begin(taken, {"user:ada": ""}, await two.find(PID, "ada"))
    if not is_first:  # `one` has not been told so yet
        await one.part({former: (7, ())})
    place = await one.find(PID, "ada")
    assert place is not None
    assert (place.node, place.reaches) == ("two", None)
    await two.part({taken: (9, ())})
    place = await one.find(PID, "ada")
    assert place is not None
    assert (place.node, place.reaches) == ("two", 9)


async def test_a_session_that_ends_late_leaves_the_record_of_its_successor() -> None:
    clock = VirtualClock()
    storage = MemoryStorage(clock)
    one, two = Places(storage, clock, "one"), Places(storage, clock, "two")
    former, taken = session(), session()
    async with one.held(), two.held():
        await one.begin(former, {"user:ada": ""})
        await two.begin(taken, {"user:ada": ""})
        one.end(former)
        await settle()
        assert await one.find(PID, "ada") is not None
        two.end(taken)
        await settle()
        assert await one.find(PID, "ada") is None


async def test_what_was_left_and_taken_up_is_not_kept() -> None:
    clock = VirtualClock()
    storage = MemoryStorage(clock)
    one, two = Places(storage, clock, "one"), Places(storage, clock, "two")
    former = session()
    await one.begin(former, {"user:ada": ""})
    await one.part({former: (7, ())})
    (record,) = await storage.children("lbproto/sessions")
    assert list(await storage.children(f"lbproto/sessions/{record}")) == ["left"]
    await two.begin(session(), {"user:ada": ""}, await two.find(PID, "ada"))
    assert await storage.children(f"lbproto/sessions/{record}") == {}


async def test_what_was_left_is_kept_until_the_session_is_recorded_where_it_came() -> None:
    """Its new node may die before that."""
    clock = VirtualClock()
    storage = Failing(clock)
    one, two = Places(storage, clock, "one"), Places(storage, clock, "two")
    former, taken = session(), session()
    await one.begin(former, {"user:ada": ""})
    await one.part({former: (7, ())})
    async with two.held():
        storage.fails = True
        await two.begin(taken, {"user:ada": ""}, await two.find(PID, "ada"))
        place = await one.find(PID, "ada")
        assert place is not None
        assert (place.node, place.reaches) == ("one", 7)
        storage.fails = False
        await settle()
        await clock.advance(1.0)
        place = await one.find(PID, "ada")
        assert place is not None
        assert (place.node, place.reaches) == ("two", None)
        (record,) = await storage.children("lbproto/sessions")
        assert await storage.children(f"lbproto/sessions/{record}") == {}


async def test_a_session_that_could_not_be_recorded_where_it_came_is_later() -> None:
    clock = VirtualClock()
    storage = Failing(clock)
    one, two = Places(storage, clock, "one"), Places(storage, clock, "two")
    former, taken = session(), session()
    await one.begin(former, {"user:ada": ""})
    async with two.held():
        storage.fails = True
        await two.begin(taken, {"user:ada": "", "room:a": ""}, await two.find(PID, "ada"))
        storage.fails = False
        await settle()
        await clock.advance(1.0)
        place = await one.find(PID, "ada")
        assert place is not None
        assert (place.node, list(place.rooms)) == ("two", ["user:ada", "room:a"])
        await one.begin(former, {"user:ada": ""})  # it has gone back, and `two` does not know
        two.leave(taken, "room:a")
        await settle()
        place = await one.find(PID, "ada")
        assert place is not None
        assert place.node == "one"
