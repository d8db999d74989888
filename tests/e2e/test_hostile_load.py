"""Too much of it, too slowly, or never: floods, bombs, clients that do not read or never finish."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.e2e.clients import (
    SECONDS,
    PlainClient,
    RawClient,
    inspect,
    still_serving,
    until_state,
)
from tests.e2e.conftest import APP, Serve
from tests.serving import ServerProcess

pytestmark = pytest.mark.anyio

MEGABYTE = 2**20
POLLING = {"EIO": "4", "transport": "polling"}


async def _guarded(server: ServerProcess) -> AsyncIterator[ServerProcess]:
    pid = (await inspect(server))["pid"]
    yield server
    await still_serving(server, pid)


@pytest.fixture(params=["uvicorn-uvloop", "uvicorn-direct", "hypercorn-trio", "granian"])
async def server(request: pytest.FixtureRequest, serve: Serve) -> AsyncIterator[ServerProcess]:
    """A server that has to be all the same after each of these tests."""
    async for guarded in _guarded(serve(APP, request.param)):
        yield guarded


@pytest.fixture(params=["uvicorn-uvloop", "uvicorn-direct", "hypercorn-trio", "granian"])
async def strict(request: pytest.FixtureRequest, serve: Serve) -> AsyncIterator[ServerProcess]:
    """The same, with deadlines of a second."""
    async for guarded in _guarded(serve("tests.e2e.app:strict", request.param)):
        yield guarded


# Bombs


@pytest.mark.parametrize("options", [(), ("--ws-max-size", "1000000")], ids=["", "max-size"])
async def test_a_decompression_bomb(serve: Serve, options: tuple[str, ...]) -> None:
    server = serve(APP, "uvicorn-uvloop", *options)
    before = await inspect(server)
    for _ in range(3):
        async with RawClient.connecting(server, compression="deflate") as client:
            await client.authenticate()
            await client.send("4" + "0" * 100_000_000)  # a hundred kilobytes on the wire
            assert (await client.closed())[0] == 1009
    await still_serving(server, before["pid"])
    after = await inspect(server)
    # Even uvicorn's own bound, 16 MiB, is far less than what the message says it is.
    assert after["peakRss"] - before["peakRss"] < 64 * MEGABYTE


async def test_a_message_in_many_pieces(server: ServerProcess) -> None:
    async def pieces() -> AsyncIterator[str]:
        yield '42["echo",{"text":"'
        for _ in range(30):
            yield "x" * 100_000
        yield '"}]'

    async with RawClient.connecting(server) as client:
        await client.authenticate()
        with suppress(ConnectionClosed):
            await client.websocket.send(pieces())
        assert (await client.closed())[0] in (1009, 1006)


# Floods


async def _flood(client: RawClient | PlainClient, message: str, times: int = 5_000) -> None:
    with suppress(ConnectionClosed):
        for _ in range(times):
            await client.websocket.send(message)


async def test_a_flood_before_connect(server: ServerProcess) -> None:
    async with RawClient.connecting(server) as client:
        await _flood(client, '42["echo",{"text":"x"}]')
        assert (await client.closed())[0] in (1002, 1006)


async def test_a_flood_before_the_token(server: ServerProcess) -> None:
    async with PlainClient.connecting(server, None) as client:
        await _flood(client, '{"event":"echo","data":{"text":"x"}}')
        assert (await client.closed())[0] in (4401, 1006)


async def test_a_flood_of_wrong_tokens(strict: ServerProcess) -> None:
    async with RawClient.connecting(strict, max_queue=None) as client:
        await _flood(client, '40{"token":"wrong"}', 300)
        code, _ = await client.closed()  # each is refused, until the deadline
    # Where a server closes while it is still being sent to, TCP may drop what it had said.
    assert code in (1008, 1006)


async def test_a_flood_of_namespaces(server: ServerProcess) -> None:
    async with RawClient.connecting(server, max_queue=None) as client:
        for number in range(2_000):
            await client.send(f"40/made-up-{number},")
        for number in range(2_000):
            refusal = await client.until(f"44/made-up-{number},")
            assert json.loads(refusal) == {"message": "Invalid namespace"}
        await client.authenticate()


async def test_a_flood_of_pongs(server: ServerProcess) -> None:
    async with RawClient.connecting(server) as client:
        await client.authenticate()
        await _flood(client, "3")
        await _flood(client, "6")
        await client.send('42["echo",{"text":"x"}]')
        await client.until('42["echoed"')


async def test_a_flood_of_unknown_events(server: ServerProcess) -> None:
    async with PlainClient.connecting(server, max_queue=None) as client:
        await client.until("connected")
        await _flood(client, '{"event":"nobody_declared","id":1}', 3_000)
        for _ in range(3_000):
            assert (await client.next())["data"]["code"] == "INVALID_REQUEST"


async def test_requests_behind_one_that_waits(server: ServerProcess) -> None:
    """Reading pauses while too many wait, and none is lost."""
    name = f"behind-{server.kind}"
    async with PlainClient.connecting(server, max_queue=None) as client:
        await client.until("connected")
        await client.send("wait", {"name": name})
        await _flood(client, '{"event":"echo","data":{"text":"x"}}', 2_000)
        async with PlainClient.connecting(server, "bob") as other:
            assert (await other.call("release", {"name": name}))["event"] == "released"
        await client.until("released")
        for _ in range(2_000):
            assert (await client.next())["event"] == "echoed"


# Clients that do not read


ROUNDS, COUNT, SIZE = 20, 150, 10_000  # 30 MB, as far as nobody compresses it
NOT_READING: dict[str, Any] = {"max_queue": 1, "compression": None}


async def _flood_the_room(server: ServerProcess, room: str) -> None:
    """Flood a room in which somebody reads: they get everything, in order."""
    name = room.removeprefix("flood:")
    async with (
        PlainClient.connecting(server, "bob") as reader,
        PlainClient.connecting(server, "eve") as flooder,
    ):
        await reader.call("subscribe", {"room": room})
        for _ in range(ROUNDS):
            # Round by round, so that a busy machine makes no slow reader of this one.
            await flooder.call("flood", {"name": name, "count": COUNT, "size": SIZE})
            for number in range(COUNT):
                assert (await reader.until("flooded"))["number"] == number


@pytest.mark.parametrize("subprotocol", ["lbproto.v1.json", "lbproto.v1.msgpack"])
async def test_a_plain_client_that_never_reads(server: ServerProcess, subprotocol: str) -> None:
    before = await inspect(server)
    slow = PlainClient.connecting(server, subprotocols=[subprotocol], **NOT_READING)
    async with slow as client:
        await client.call("subscribe", {"room": "flood:plain"})
        await _check_slow(server, "flood:plain", before, client.closed)


async def test_a_socket_io_client_that_never_reads(server: ServerProcess) -> None:
    before = await inspect(server)
    async with RawClient.connecting(server, **NOT_READING) as client:
        await client.authenticate()
        await client.send('42["subscribe",{"room":"flood:socketio"}]')
        await client.until('42["subscribed"')
        await _check_slow(server, "flood:socketio", before, client.closed)


async def _check_slow(
    server: ServerProcess,
    room: str,
    before: Any,
    closed: Callable[[], Awaitable[tuple[int, str]]],
) -> None:
    await _flood_the_room(server, room)
    after = await until_state(server, lambda state: state["connections"] == before["connections"])
    assert after["rss"] - before["rss"] < 24 * MEGABYTE
    code, _ = await closed()  # whoever starts to read after all is told
    assert code == 4408


async def test_a_client_that_never_polls(server: ServerProcess) -> None:
    before = await inspect(server)
    async with httpx.AsyncClient(base_url=server.http, timeout=SECONDS) as http:
        opened = await http.get("/socket.io/", params=POLLING)
        params = POLLING | {"sid": json.loads(opened.text[1:])["sid"]}
        await http.post("/socket.io/", params=params, content='40{"token":"token-ada"}')
        body = '420["subscribe",{"room":"flood:polls"}]'
        await http.post("/socket.io/", params=params, content=body)
        await until_state(server, lambda state: state["rooms"] > before["rooms"])
        await _flood_the_room(server, "flood:polls")
        after = await until_state(server, lambda state: state["engines"] <= before["engines"])
        assert after["rss"] - before["rss"] < 24 * MEGABYTE
        gone = await http.get("/socket.io/", params=params)
        assert (gone.status_code, gone.json()["code"]) == (400, 1)


# Clients that never finish


async def test_half_open_handshakes(strict: ServerProcess) -> None:
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=strict.http, timeout=SECONDS)
        )
        clients: list[RawClient | PlainClient] = []
        for _ in range(70):
            raw = await stack.enter_async_context(RawClient.connecting(strict))
            plain = await stack.enter_async_context(PlainClient.connecting(strict, None))
            clients += [raw, plain]
            assert (await http.get("/socket.io/", params=POLLING)).status_code == 200
        codes = {(await client.closed())[0] for client in clients}
        assert codes == {1008, 4401}
        await until_state(strict, lambda state: (state["connections"], state["engines"]) == (1, 0))


async def test_an_upgrade_that_never_comes(strict: ServerProcess) -> None:
    async with httpx.AsyncClient(base_url=strict.http, timeout=SECONDS) as http:
        opened = await http.get("/socket.io/", params=POLLING)
        sid = json.loads(opened.text[1:])["sid"]
        params = POLLING | {"sid": sid}
        await http.post("/socket.io/", params=params, content='40{"token":"token-ada"}')
        async with RawClient.connecting(strict, sid=sid) as probe:
            await probe.send("2probe")
            assert await probe.next() == "3probe"
            assert (await probe.closed())[0] == 1002
        # The session has gone on polling meanwhile, or has ended for want of heartbeats.
        answer = await http.get("/socket.io/", params=params)
        assert answer.status_code in (200, 400)
        with pytest.raises(InvalidStatus):
            async with RawClient.connecting(strict, sid="unknown"):
                pass


async def test_a_client_that_never_answers_a_ping(strict: ServerProcess) -> None:
    async with RawClient.connecting(strict) as client:
        await client.authenticate()
        await client.until("2")
        assert (await client.closed())[0] == 1001
