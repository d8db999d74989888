"""Clients that come back by themselves, to whichever node, and keep a log of what they are told."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from tests.serving import ServerProcess

__all__ = ["LOST", "Client", "Nodes", "Publisher"]

LOST = ("session_lost", -1)
"""What stands in a client's log where something may be missing, and the client was told so."""

_JSON = Subprotocol("lbproto.v1.json")
_AGAIN = 0.3  # seconds until a client tries the next node, about
_CHANCE = random.Random()  # noqa: S311 - no secret


@dataclass
class Nodes:
    """Those that clients may go to."""

    running: list[ServerProcess] = field(default_factory=list)

    def other_than(self, port: int) -> int:
        """The port of another one, if there is any."""
        ports = [node.port for node in self.running if node.port != port]
        return _CHANCE.choice(ports) if ports else port


class Client:
    """A client in one room, on plain WebSocket; it comes back by itself.

    Attributes:
        log: what it was told, in order: publishers and numbers, and `LOST`.
        present: the users that it has been told are in its room.
        lost, recovered: how often it came back, without its session and with it.
    """

    def __init__(self, user: str, room: str, nodes: Nodes, port: int) -> None:
        self.user, self.room, self.port = user, room, port
        self.log: list[tuple[str, int]] = []
        self.present: set[str] = set()
        self.lost = self.recovered = 0
        self.heard = 0.0
        self.inside = asyncio.Event()
        self._nodes = nodes
        self._resume: dict[str, str] = {}
        self._is_member = False  # its session is in the room, as far as it was told
        self._socket: ClientConnection | None = None
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._ids = 0

    async def run(self) -> None:
        """Be connected, again and again, until cancelled."""
        while True:
            with suppress(OSError, WebSocketException, TimeoutError, EOFError):
                await self._connect()
            self.inside.clear()
            self._fail_asked()
            await asyncio.sleep(_CHANCE.uniform(_AGAIN / 2, _AGAIN))
            self.port = self._nodes.other_than(self.port)

    async def _connect(self) -> None:
        query = "&".join(f"{name}={value}" for name, value in self._resume.items())
        async with connect(
            f"ws://127.0.0.1:{self.port}/ws?{query}",
            subprotocols=[_JSON],
            additional_headers={"Authorization": f"Bearer token-{self.user}"},
            compression=None,
            open_timeout=30,
            close_timeout=1,
            ping_interval=None,
            max_queue=None,
        ) as self._socket:
            async for message in self._socket:
                self._take(json.loads(message))

    def _take(self, frame: dict[str, Any]) -> None:
        name, data = frame["event"], frame["data"]
        if name == "said":
            self.log.append((data["publisher"], data["number"]))
            self.heard = time.monotonic()
        elif name == "connected":
            self._connected(data)
        else:
            self._hear(name, data)
        if "offset" in frame:
            self._resume["offset"] = frame["offset"]
        answer = self._answers.pop(frame.get("re", -1), None)
        if answer is not None and not answer.done():
            answer.set_result(data)

    def _connected(self, data: dict[str, Any]) -> None:
        is_new = self._resume.get("sid") != data["sid"]
        self._resume |= {"pid": data["pid"], "sid": data["sid"]}
        if is_new:
            self._resume.pop("offset", None)
            self.present.clear()
            self._is_member = False
            self._subscribe()

    def _hear(self, name: str, data: dict[str, Any]) -> None:
        if name == "error" and data.get("event") == "subscribe":  # the broker is away
            asyncio.get_running_loop().call_later(_AGAIN, self._subscribe)
        elif name == "subscribed":
            self._is_member = True
            self.inside.set()
        elif name == "recovered":
            self.recovered += 1
            if self._is_member:
                self.inside.set()
            else:  # it was lost before it was answered, and requests are not replayed
                self._subscribe()
        elif name == "session_lost":
            self.lost += 1
            self.log.append(LOST)
        elif name == "user_joined_room":
            self.present.add(data["userId"])
        elif name == "user_left_room":
            self.present.discard(data["userId"])

    def _subscribe(self) -> None:
        self._send("subscribe", {"room": self.room})

    def _send(self, event: str, data: Any, id_: int | None = None) -> None:
        assert self._socket is not None
        frame = {"event": event, "data": data} | ({} if id_ is None else {"id": id_})
        sending = asyncio.ensure_future(self._socket.send(json.dumps(frame)))
        sending.add_done_callback(lambda done: done.exception())

    async def ask(self, event: str, data: Any) -> Any:
        """The answer; None where the connection was lost before it came."""
        await self.inside.wait()
        self._ids += 1
        answer = self._answers[self._ids] = asyncio.get_running_loop().create_future()
        self._send(event, data, self._ids)
        return await answer

    def _fail_asked(self) -> None:
        for answer in self._answers.values():
            if not answer.done():
                answer.set_result(None)
        self._answers.clear()

    def drop(self) -> None:
        """Lose the connection, as by a network that is gone."""
        if self._socket is not None:
            self._socket.transport.abort()

    def faults(self, said: dict[str, set[int]]) -> Iterator[str]:
        """What is wrong with its log.

        Args:
            said: of each publisher to this room, the numbers that it was told to be on their way.
        """
        last: dict[str, int] = {}
        known: set[str] = set()  # those heard since the last gap
        for publisher, number in (*self.log, *((each, sys.maxsize) for each in said)):
            if (publisher, number) == LOST:
                known = set()
                continue
            before = last.get(publisher, -1)
            if number <= before:
                yield f"{self.user}: {publisher} {number} after {before}"
            elif publisher in known:
                missing = [each for each in said[publisher] if before < each < number]
                if missing:
                    yield f"{self.user}: {publisher} lacks {sorted(missing)} after {before}"
            last[publisher] = number
            known.add(publisher)


class Publisher:
    """Says something to each of its rooms in turn, by way of a client of its own.

    Attributes:
        said: the numbers that it was told to be on their way, by room, each with when and by which
            node.
    """

    def __init__(self, client: Client, rooms: list[str], pause: float) -> None:
        self.client = client
        self.said: dict[str, dict[int, tuple[float, int]]] = {room: {} for room in rooms}
        self.unanswered = 0
        self._pause = pause

    async def run(self) -> None:
        """Until cancelled."""
        numbers = dict.fromkeys(self.said, 0)
        while True:
            for room, said in self.said.items():
                number = numbers[room]
                numbers[room] += 1
                name = self.name(room)
                port = self.client.port
                request = {"room": room, "publisher": name, "number": number}
                answer = await self.client.ask("say", request)
                if answer is not None and answer.get("number") == number:
                    said[number] = time.monotonic(), port
                else:
                    self.unanswered += 1
                await asyncio.sleep(self._pause)

    def name(self, room: str) -> str:
        return f"{self.client.user} in {room}"
