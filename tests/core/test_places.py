"""Whose record a session's is: a node changes none that is another's by now."""

from __future__ import annotations

import pytest

from lbproto import Identity
from lbproto.backends.memory import MemoryStorage
from lbproto.places import Places
from lbproto.session import Session
from lbproto.testing import VirtualClock, settle
from tests.core.harness import MemorySocket

pytestmark = pytest.mark.anyio

PID = "private"


def session() -> Session:
    socket = MemorySocket()
    socket.pid = PID
    return Session(Identity("ada"), socket, "", 0.0, 0)


async def test_a_node_that_stops_leaves_alone_what_another_has_taken_up() -> None:
    clock = VirtualClock()
    storage = MemoryStorage(clock)
    one, two = Places(storage, clock, "one"), Places(storage, clock, "two")
    former, taken = session(), session()
    await one.begin(former, {"user:ada": ""})
    await two.begin(taken, {"user:ada": ""})  # `one` has not been told so yet
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
