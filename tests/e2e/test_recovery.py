"""Connection state recovery, as stock clients see it: what comes back, and what does not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.e2e.clients import PlainClient, RawClient
from tests.e2e.conftest import Serve
from tests.e2e.dropping import Dropping, Loss
from tests.e2e.node import NodeClient
from tests.serving import ServerProcess

HOURS = 4 * 3600
WINDOW = 120

node = pytest.mark.usefixtures("node")
each_transport = pytest.mark.parametrize("transport", ["websocket", "polling"])


@pytest.fixture(params=["uvicorn-uvloop", "uvicorn-direct", "hypercorn-trio"])
def still(request: pytest.FixtureRequest, serve: Serve) -> ServerProcess:
    """A server whose clock stands still, as far as hours are concerned, until a client moves it."""
    return serve("tests.e2e.counting:still", request.param)


class _Client(NodeClient):
    """A stock client that comes back when it is told to."""

    def connected(self) -> Any:
        """Its first connection; the payload of `connected`."""
        assert self.until(happened="connect")["recovered"] is False
        return self.event("connected")

    def lost(self, proxy: Dropping, loss: Loss = Loss.RESET) -> None:
        with proxy.down(0, loss):
            assert self.until(happened="disconnect")["active"]

    def come_back(self) -> Any:
        """Connect again; what the stock client says of it."""
        self.command(connect=True)
        return self.until(happened="connect")

    def missed(self) -> list[str]:
        """The texts that it was told, up to `recovered`."""
        texts = []
        while (line := self.next()).get("event") != "recovered":
            if line.get("event") == "told":
                texts.append(line["args"][0]["text"])
        assert line["args"][0]["missed"] >= len(texts)
        return texts


@contextmanager
def _client(
    server: ServerProcess, transport: str, user: int = 0
) -> Iterator[tuple[_Client, Dropping]]:
    auth = {"token": f"token-{user}"}
    with (
        Dropping.before(server.port) as proxy,
        _Client.connecting(
            proxy.url(0), auth=auth, transports=[transport], reconnection=False
        ) as client,
    ):
        yield client, proxy


@contextmanager
def _teller(server: ServerProcess, user: int = 1) -> Iterator[NodeClient]:
    """Somebody else, who makes things happen."""
    auth = {"token": f"token-{user}"}
    with NodeClient.connecting(server.http, auth=auth, transports=["websocket"]) as client:
        client.event("connected")
        yield client


@node
@each_transport
def test_what_was_missed_comes_in_order(still: ServerProcess, transport: str) -> None:
    """To everyone in a room, to the user alone, and not what was for others only."""
    with _client(still, transport) as (client, proxy), _teller(still) as teller:
        first = client.connected()
        for room in ("count:a", "count:b"):
            client.call("subscribe", {"room": room})
        client.lost(proxy)
        teller.call("tell", {"room": "count:a", "text": "1"})
        teller.call("tell", {"room": "count:b", "text": "2"})
        teller.call("tell", {"room": "user:user-0", "text": "3"})
        teller.call("tell", {"room": "count:a", "text": "not for you", "spare": first["sid"]})
        teller.call("tell", {"room": "count:elsewhere", "text": "not yours"})
        teller.call("tell", {"room": "count:a", "text": "4"})
        back = client.come_back()
        assert (back["recovered"], back["id"]) == (True, first["sid"])
        again = client.event("connected")
        assert (again["sid"], again["pid"]) == (first["sid"], first["pid"])
        assert client.missed() == ["1", "2", "3", "4"]


@node
@each_transport
def test_rooms_and_answers_go_on(still: ServerProcess, transport: str) -> None:
    with _client(still, transport) as (client, proxy), _teller(still) as teller:
        client.connected()
        client.call("subscribe", {"room": "count:a"})
        assert client.call("next")["data"] == {"number": 1}
        client.lost(proxy)
        assert client.come_back()["recovered"] is True
        assert client.missed() == []
        teller.call("tell", {"room": "count:a", "text": "live"})
        assert client.event("told") == {"text": "live"}
        assert client.call("next")["data"] == {"number": 2}  # what the server keeps of a session


@node
@each_transport
def test_one_that_has_received_nothing_recovers(still: ServerProcess, transport: str) -> None:
    """Nothing but `connected`, that is."""
    with _client(still, transport) as (client, proxy), _teller(still) as teller:
        first = client.connected()
        client.lost(proxy)
        teller.call("tell", {"room": "user:user-0", "text": "1"})
        assert client.come_back()["id"] == first["sid"]
        assert client.missed() == ["1"]


@node
@each_transport
def test_one_that_sat_idle_for_hours_recovers(still: ServerProcess, transport: str) -> None:
    """However much went on elsewhere, and was forgotten."""
    with _client(still, transport) as (client, proxy), _teller(still) as teller:
        first = client.connected()
        client.call("subscribe", {"room": "count:quiet"})
        teller.call("subscribe", {"room": "count:busy"})
        for _ in range(4):
            teller.call("tell", {"room": "count:busy", "text": "elsewhere"})
            teller.call("pass", {"seconds": HOURS})
        client.lost(proxy)
        teller.call("tell", {"room": "count:quiet", "text": "news"})
        back = client.come_back()
        assert (back["recovered"], back["id"]) == (True, first["sid"])
        assert client.missed() == ["news"]


@node
@each_transport
def test_again_and_again_unnoticed(still: ServerProcess, transport: str) -> None:
    """The server still has each former connection, and has sent into it what was never received."""
    with _client(still, transport) as (client, proxy), _teller(still) as teller:
        sid = client.connected()["sid"]
        client.call("subscribe", {"room": "count:a"})
        for number in range(5):
            client.lost(proxy, Loss.UNNOTICED)
            teller.call("tell", {"room": "count:a", "text": f"{number}-room"})
            teller.call("tell", {"room": "user:user-0", "text": f"{number}-user"})
            back = client.come_back()
            assert (back["recovered"], back["id"]) == (True, sid)
            assert client.missed() == [f"{number}-room", f"{number}-user"]


@node
@each_transport
def test_too_late(still: ServerProcess, transport: str) -> None:
    with _client(still, transport) as (client, proxy), _teller(still) as teller:
        first = client.connected()
        client.call("subscribe", {"room": "count:a"})
        client.lost(proxy)
        teller.call("tell", {"room": "count:a", "text": "gone for good"})
        teller.call("pass", {"seconds": WINDOW + 1})
        teller.call("tell", {"room": "count:a", "text": "gone too"})
        back = client.come_back()
        assert back["recovered"] is False
        assert back["id"] != first["sid"]
        again = client.event("connected")
        assert again["sid"] == back["id"]
        assert again["pid"] != first["pid"]
        client.event("session_lost")
        assert client.call("next")["data"] == {"number": 1}
        assert not [line for line in client.seen if line.get("event") in ("recovered", "told")]


@node
@each_transport
def test_one_that_left_does_not_recover(still: ServerProcess, transport: str) -> None:
    """The stock client still names its `pid`, but the session is over."""
    with _client(still, transport) as (client, _):
        first = client.connected()
        client.command(disconnect=True)
        client.until(happened="disconnect")
        back = client.come_back()
        assert (back["recovered"], back["id"] == first["sid"]) == (False, False)
        client.event("session_lost")


# By hand, with what no stock client would say


async def _connect(client: RawClient, auth: dict[str, Any]) -> tuple[Any, list[str]]:
    """The answer to a CONNECT, and the names of the events up to that to a request behind it."""
    await client.send("40" + json.dumps(auth), '42["next"]')
    answer = json.loads(await client.until("40"))
    names: list[str] = []
    while not names or names[-1] != "answered":
        names.append(json.loads(await client.until("42"))[0])
    return answer, names


GARBAGE: list[Any] = [
    *(7, -1, 1.5, True, None, {}, {"a": [1]}, [], ["x"], "", "x", "\0", "ü" * 100, "a.b", "null"),
    "x" * 900_000,
]


def _wrong_offsets(offset: str) -> list[Any]:
    epoch, number = offset.split(".")
    numbers = (int(number) + 1_000, -1, "", "1e3", "٣", f"{number}.{number}", "9" * 400)
    wrong = [f"{epoch}.{other}" for other in numbers]
    return [*(one for one in GARBAGE if one is not None), *wrong, f"other.{number}", f" {offset}"]


@pytest.mark.anyio
async def test_a_wrong_pid_is_a_new_session(still: ServerProcess) -> None:
    for pid in GARBAGE:
        async with RawClient.connecting(still) as client:
            auth = {"token": "token-2", "pid": pid, "offset": "x.1"}
            answer, names = await _connect(client, auth)
            assert answer["pid"] != pid
            lost = [] if pid is None else ["session_lost"]
            assert names == ["connected", *lost, "answered"], pid


@pytest.mark.anyio
async def test_a_wrong_offset_is_a_new_session(still: ServerProcess) -> None:
    async with RawClient.connecting(still) as client:
        await client.send('40{"token":"token-2"}')
        await client.until("40")
        offset = json.loads(await client.until("42"))[-1]
    for wrong in _wrong_offsets(offset):
        async with RawClient.connecting(still) as client:
            first, _ = await _connect(client, {"token": "token-2"})
            client.websocket.transport.abort()
        async with RawClient.connecting(still) as client:
            auth = {"token": "token-2", "pid": first["pid"], "offset": wrong}
            answer, names = await _connect(client, auth)
            assert first["sid"] != answer["sid"], wrong
            assert first["pid"] != answer["pid"], wrong
            assert names == ["connected", "session_lost", "answered"], wrong


@pytest.mark.anyio
async def test_another_users_token(still: ServerProcess) -> None:
    """The session stays its user's, who can still resume it."""
    async with RawClient.connecting(still) as client:
        first, _ = await _connect(client, {"token": "token-2"})
        client.websocket.transport.abort()
    async with RawClient.connecting(still) as client:
        answer, names = await _connect(client, {"token": "token-3", "pid": first["pid"]})
        assert answer["sid"] != first["sid"]
        assert names == ["connected", "session_lost", "answered"]
    async with RawClient.connecting(still) as client:
        answer, names = await _connect(client, {"token": "token-2", "pid": first["pid"]})
        assert answer == first
        assert names == ["connected", "answered"]  # the former answer: it has named no offset
        assert json.loads(await client.until("42"))[:2] == ["recovered", {"missed": 1}]


@pytest.mark.anyio
async def test_resumed_twice_at_once(still: ServerProcess) -> None:
    """One lives on; the other is told that it is over, for good."""
    async with RawClient.connecting(still) as client:
        first, _ = await _connect(client, {"token": "token-2"})
        client.websocket.transport.abort()
    async with RawClient.connecting(still) as one, RawClient.connecting(still) as other:
        resume = "40" + json.dumps({"token": "token-2", "pid": first["pid"]})
        await one.send(resume)
        await other.send(resume)
        ends = []
        for client in (one, other):
            assert json.loads(await client.until("40")) == first
            await client.send('42["next"]', '42["ping"]')
        for client in (one, other):
            packet = await client.until("4")
            while packet != "1" and not packet.startswith('2["pong"'):
                packet = await client.until("4")
            ends.append(packet[:1])
        assert sorted(ends) == ["1", "2"]


@pytest.mark.anyio
async def test_plain_websocket_resumed_twice(still: ServerProcess) -> None:
    async with PlainClient.connecting(still, "2", path="/ws") as first:
        connected = await first.until("connected")
        async with PlainClient.connecting(still, "2", path=f"/ws?pid={connected['pid']}") as second:
            again = await second.until("connected")
            assert (again["sid"], again["pid"]) == (connected["sid"], connected["pid"])
            assert (await second.until("recovered")) == {"missed": 0}
            assert (await first.closed())[0] == 4409
            assert (await second.call("next"))["data"] == {"number": 1}
