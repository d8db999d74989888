"""What a client listens to: in order, bounded, and every loss told."""

from __future__ import annotations

import gc
from weakref import ref

import anyio
import pytest

from lbproto import Client, Context, Event, Plugin, UsageError, conflate, drop_oldest
from lbproto.client import TooSlow, Wire
from lbproto.client.vocabulary import Vocabulary
from lbproto.messages import EventsDropped, Ping, Pong, Subscribed
from lbproto.wire import ProtocolError
from tests.client.kit import WIRES, Double, Doubled, Said, Say, Site, connected, served, server_of

pytestmark = pytest.mark.anyio

ROOM = "talk:a"


@pytest.mark.parametrize("wire", WIRES)
async def test_rooms_are_heard_in_order(wire: Wire) -> None:
    async with served(Site().plugin()) as url, connected(url, wire=wire) as client:
        said = client.listen(Said)
        assert await client.subscribe(ROOM) == Subscribed(ROOM, 1)
        assert client.rooms == {ROOM}
        assert await anext(said) == Said(ROOM, "welcome")
        await client.emit(Say(room=ROOM, text="hi", count=3))
        assert [await anext(said) for _ in range(3)] == [Said(ROOM, "hi", n) for n in range(3)]
        await client.unsubscribe(ROOM)
        assert client.rooms == frozenset()
        await client.request(Say(room=ROOM, text="to nobody"))
        said.close()
        assert [each async for each in said] == []


async def test_several_classes_at_once_and_all_that_are_known() -> None:
    async with served(Site().plugin()) as url, connected(url) as client:
        with client.listen(Pong, Subscribed) as two, client.listen(Event) as all_of_them:
            await client.subscribe("user:ada")
            await client.request(Ping())
            heard = [type(await anext(two)) for _ in range(2)]
            assert heard == [Subscribed, Pong]
            assert [type(await anext(all_of_them)) for _ in range(2)] == [Subscribed, Pong]


@pytest.mark.parametrize("wire", WIRES)
async def test_who_listens_before_connecting_misses_nothing(wire: Wire) -> None:
    plugin = Plugin("talk")

    @plugin.room("all", announce=False, automatic=True)
    async def join(ctx: Context) -> Said:
        return Said("all", "welcome")

    async with served(plugin) as url:
        client = Client(url, token="ada", wire=wire)
        greeted = client.listen(Said)
        async with client:
            assert await anext(greeted) == Said("all", "welcome")
        assert [each async for each in greeted] == []


async def test_all_that_every_server_sends_is_known() -> None:
    sent = {each.event for each in server_of().registry.emissions.values()}
    assert set(Vocabulary([], {}).classes()) == sent


async def test_names_are_unique() -> None:
    class Other(Event, event="pong"):
        pass

    async with served(Site().plugin()) as url, connected(url) as client:
        with pytest.raises(UsageError, match=r"Pong and .*Other are both called 'pong'"):
            client.listen(Other)


async def test_by_default_a_slow_listener_ends() -> None:
    async with served(Site().plugin()) as url, connected(url) as client:
        said = client.listen(Said, max_events=3)
        await client.subscribe(ROOM)
        await client.request(Say(room=ROOM, text="hi", count=5))
        assert [(await anext(said)).text for _ in range(3)] == ["welcome", "hi", "hi"]
        with pytest.raises(TooSlow):
            await anext(said)
        assert await client.request(Double(number=1), Doubled) == Doubled(number=2)


async def test_dropped_events_are_told_before_the_next_one() -> None:
    async with served(Site().plugin()) as url, connected(url) as client:
        said = client.listen(Said, EventsDropped, overflow=drop_oldest, max_events=2)
        silent = client.listen(Said, overflow=drop_oldest, max_events=2)
        await client.subscribe(ROOM)
        await client.request(Say(room=ROOM, text="hi", count=5))
        assert await anext(said) == EventsDropped(count=4)
        assert [await anext(said) for _ in range(2)] == [Said(ROOM, "hi", n) for n in (3, 4)]
        assert await anext(silent) == Said(ROOM, "hi", 3)
        assert (said.dropped, silent.dropped) == (4, 4)


async def test_what_waits_is_bounded_in_bytes_too() -> None:
    async with served(Site().plugin()) as url, connected(url) as client:
        said = client.listen(Said, overflow=drop_oldest, max_bytes=2_000)
        await client.subscribe(ROOM)
        await client.request(Say(room=ROOM, text="x" * 900, count=5))
        assert (await anext(said)).number == 2
        assert said.dropped == 3


async def test_where_nothing_may_wait_nothing_could_be_heard() -> None:
    async with served(Site().plugin()) as url, connected(url) as client:
        for bounds in ({"max_events": 0}, {"max_bytes": 0}):
            with pytest.raises(UsageError, match="must be at least 1"):
                client.listen(Said, overflow=drop_oldest, **bounds)


async def test_only_the_newest_of_a_key() -> None:
    async with served(Site().plugin()) as url, connected(url) as client:
        newest = client.listen(
            Said, overflow=conflate(lambda said: said.text or None), max_events=3
        )
        await client.subscribe(ROOM)
        await client.request(Say(room=ROOM, text="a", count=5))
        await client.request(Say(room=ROOM, text="b", count=2))
        heard = [(said.text, said.number) for said in [await anext(newest) for _ in range(3)]]
        assert heard == [("welcome", 0), ("a", 4), ("b", 1)]
        assert newest.dropped == 0
        await client.request(Say(room=ROOM, text="", count=4))  # none of these may be replaced
        assert [(await anext(newest)).number for _ in range(3)] == [0, 1, 2]
        with pytest.raises(TooSlow):
            await anext(newest)


async def test_what_does_not_fit_its_class_ends_those_who_listen_to_it() -> None:
    class Told(Event, event="said"):
        room: int

    class Answer(Event, event="doubled"):
        number: str

    async with served(Site().plugin()) as url, connected(url) as client:
        told, pongs = client.listen(Told), client.listen(Pong)
        await client.subscribe(ROOM)
        with pytest.raises(ProtocolError, match=r"`said` is not a .*Told: Expected `int`"):
            await anext(told)
        with pytest.raises(ProtocolError, match=r"`doubled` is not a .*Answer: Expected `str`"):
            await client.request(Double(number=1), Answer)
        await client.emit(Ping())
        assert isinstance(await anext(pongs), Pong)


async def test_who_is_forgotten_is_told_no_more() -> None:
    async with served(Site().plugin()) as url, connected(url) as client:
        forgotten = ref(client.listen(Pong))
        gc.collect()
        assert forgotten() is None


async def test_leaving_is_the_end_of_listening() -> None:
    heard = []

    async def listen(client: Client) -> None:
        heard.extend([each async for each in client.listen(Pong)])

    async with (
        served(Site().plugin()) as url,
        anyio.create_task_group() as tasks,
        connected(url) as client,
    ):
        tasks.start_soon(listen, client)
        await anyio.wait_all_tasks_blocked()
        await client.request(Ping())
    assert len(heard) == 1


async def test_who_listens_after_the_end_hears_that_it_is() -> None:
    async with served(Site().plugin()) as url, connected(url) as client:
        pass
    with anyio.fail_after(60):
        assert [each async for each in client.listen(Pong)] == []
