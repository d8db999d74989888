"""A client in a world: it speaks its wire, comes back when it is lost, and asks again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

import msgspec

from lbproto.events import Event
from lbproto.frame import Message
from lbproto.messages import Authenticate, Connected, Error, SessionLost, Subscribed, Unsubscribed
from lbproto.simulator.chance import stream
from lbproto.simulator.plan import GuestPlan
from lbproto.simulator.scenario import Ask
from lbproto.simulator.wire import SimulatedWire
from lbproto.testing.checks import typed
from lbproto.testing.codecs import CODECS, PONG, Heard

if TYPE_CHECKING:
    from lbproto.simulator.world import World

__all__ = ["Asked", "Guest"]

_PATIENCE = 6.0  # seconds until one that was not answered when connecting tries again
_NORMAL = 1000  # how a websocket is closed by somebody who means to
_AGAIN = (0.1, 1.0)  # seconds until one that was closed comes back


@dataclass(slots=True)
class Asked:
    """A request, and what has become of it.

    Attributes:
        event: what was asked.
        at: when, in seconds of virtual time.
        connection: counts those of the guest: by which it was asked last.
        request_id: by which it is asked again; None for not at all.
        answered: whether anything has answered.
        is_repeat: whether it was asked before, by another connection.
    """

    event: Event
    at: float
    connection: int
    request_id: str | None
    answered: bool = False
    is_repeat: bool = False


class Guest:
    """One client.

    Args:
        world: where it is.
        plan: who it is.
        asks: what it asks for, in order.

    Attributes:
        name: for people.
        user: who it is to the server.
        node: the name of the one that it is connected to, or was last.
        sid: its session's id.
        session: counts its sessions.
        connection: counts its connections.
        is_in: whether it has been told that it is connected.
        is_held: whether it reads nothing just now.
        is_gone: whether it never comes back.
        lost_at: when it has lost its last connection, in seconds of virtual time.
        tried: the nodes that it has connected to since it was told that it is connected.
        rooms: those that its session is in, by what it was told.
        told: all events that it was sent.
        asked: all that it has asked for, by its number.
    """

    def __init__(self, world: World, plan: GuestPlan, asks: Sequence[Ask]) -> None:
        self.name = f"guest{plan.number}"
        self.user = plan.user
        self.node = ""
        self.sid = ""
        self.session = 0
        self.connection = 0
        self.is_in = False
        self.is_held = False
        self.is_gone = False
        self.lost_at = 0.0
        self.tried: dict[str, None] = {}
        self.rooms: dict[str, None] = {}
        self.told: list[Event] = []
        self.asked: dict[int, Asked] = {}
        self.pid: str | None = None
        self.offset: str | None = None
        self._world = world
        self._plan = plan
        self._asks = asks
        self._target = plan.node
        self._random = stream(world.plan.seed, self.name)
        self._wire: SimulatedWire | None = None
        self._goes_on = False  # its session did, by the last connection
        self._former_pid: str | None = None
        self._is_fresh = False  # it was told that it is connected, and nothing else
        self._is_away = False  # it stays away until it is told to come back
        self._numbers = 0
        self._held_until = -inf

    # What the plan has it do

    def come(self) -> None:
        """Connect, to wherever it can."""
        self._is_away = False
        if self.is_gone or (self._wire is not None and self._wire.is_open):
            return
        node = self._world.find_node(self._target)
        if node is None:
            self._come_later()
            return
        self.connection += 1
        self.node = node.name
        self.tried[node.name] = None
        self._codec = CODECS[self._plan.wire]()
        number = self.connection
        self._wire = wire = SimulatedWire(
            self._world.loop,
            stream(self._world.plan.seed, self.name, "wire", number),
            node.process,
            direct=self._plan.direct,
            receive=self._receive,
            closed=self._closed,
        )
        if self.is_held:
            wire.hold()
        self._world.story.tell(self.name, f"connects to {node.name}", self.offset)
        node.accept(wire, self._plan.wire)
        if not self._codec.greets:
            wire.say(*self._codec.connect(self._shown()))
        self._world.loop.call_later(_PATIENCE, self._give_up, number)

    def lose(self, noticed: float, target: int) -> None:
        """Lose the connection, and stay away until `come`.

        Args:
            noticed: seconds until the node notices.
            target: the number of the node that it will come back to.
        """
        self._is_away = True
        self._target = target
        if self._wire is not None:
            self._wire.drop(noticed)

    def go(self, *, says_so: bool) -> None:
        """Go for good.

        Args:
            says_so: whether it leaves on purpose; else it is only lost.
        """
        self.is_gone = True
        if self._wire is None or not self._wire.is_open:
            return
        if says_so:
            self._wire.say(*self._codec.disconnect())
            self._wire.leave()
            self._closed(_NORMAL, "left")
        else:
            self._wire.drop(0.0)

    def hold(self) -> None:
        """Read nothing until `release`."""
        self.is_held = True
        self._held_until = inf
        if self._wire is not None:
            self._wire.hold()

    def release(self) -> None:
        """Read again."""
        if self.is_held:
            self._held_until = self._world.loop.time()
        self.is_held = False
        if self._wire is not None:
            self._wire.release()

    def was_held(self, since: float) -> bool:
        """Whether it did not read at some time since then."""
        return self._held_until >= since

    def ask(self, number: int) -> None:
        """Ask for the next thing of its workload, if it is connected."""
        if number >= len(self._asks):
            return  # its visit was shorter than the plan
        found = self._asks[number]
        event = found if isinstance(found, Event) else found(self.told)
        if event is not None and self.is_in:
            keyed = self._random.random() < 0.6
            self.request(event, f"{self.name}-{number}" if keyed else None)

    def request(self, event: Event, request_id: str | None = None) -> Asked:
        """Ask for something that has to be answered."""
        self._numbers += 1
        asked = Asked(event, self._world.loop.time(), self.connection, request_id)
        self.asked[self._numbers] = asked
        self._say(self._numbers, asked)
        return asked

    # Its connection

    @property
    def is_open(self) -> bool:
        """Whether it has a connection, as far as it knows."""
        return self._wire is not None and self._wire.is_open

    def sever(self, node: str) -> None:
        """Its node is dead, if it is this one."""
        if self._wire is not None and self.node == node:
            self._wire.sever()

    def _shown(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"token": self.user}
        if self.pid is not None:
            shown["pid"] = self.pid
        if self.offset is not None:
            shown["offset"] = self.offset
        return shown

    def _say(self, number: int, asked: Asked) -> None:
        data = msgspec.to_builtins(asked.event)
        if asked.request_id is not None:
            data["requestId"] = asked.request_id
        self._world.story.tell(self.name, "asks", asked.event)
        self._world.checks.asked(self, asked)
        assert self._wire is not None  # noqa: S101 - it is connected
        self._wire.say(*self._codec.event(asked.event.event_name, data, number))

    def _give_up(self, number: int) -> None:
        if self.connection == number and not self.is_in and self._wire is not None:
            self._wire.drop(0.0)

    def _come_later(self) -> None:
        self._target = self._random.randrange(self._world.plan.nodes)
        least, most = _AGAIN
        self._world.loop.call_later(self._random.uniform(least, most), self._come_back)

    def _come_back(self) -> None:
        if not self._is_away:
            self.come()

    def _closed(self, code: int, reason: str) -> None:
        was_in, self.is_in = self.is_in, False
        if was_in:
            self.lost_at = self._world.loop.time()
        self._world.story.tell(self.name, f"is closed: {code} {reason}")
        self._world.checks.lost(self, code)
        if not self._is_away:
            self._come_later()

    def _receive(self, message: Message) -> None:
        heard = self._codec.receive(message)
        if heard is not None:
            self._hear(heard)

    def _hear(self, heard: Heard) -> None:
        wire = self._wire
        assert wire is not None  # noqa: S101 - that is what it was heard by
        match heard.kind:
            case "open":
                wire.say(*self._codec.connect(self._shown()))
            case "ping":
                wire.say(PONG)
            case "connect":
                self._let_in(heard.data["sid"], heard.data.get("pid"))
            case "refused" | "disconnect":
                self._world.story.tell(self.name, f"is {heard.kind}", heard.data)
                wire.drop(0.0)
            case "event":
                self._hear_event(heard)
            case "ack" if heard.re is not None:
                self._answered(heard.re)

    def _hear_event(self, heard: Heard) -> None:
        registry = self._world.registry
        str_keys = self._plan.wire.endswith("json")
        event, problem = typed(registry, heard.event, heard.data, str_keys=str_keys)
        if problem is not None or event is None:
            self._world.story.break_(
                "contract", self.name, "only what plugins declare", f"`{heard.event}`: {problem}"
            )
            return
        if not self._codec.greets:
            if isinstance(event, Connected):
                self._let_in(event.sid, event.pid)
            elif isinstance(event, Error) and event.event == Authenticate.event_name:
                return
        if not self.is_in and not isinstance(event, Connected):
            self._world.story.break_("begin", self.name, "`connected` first", str(event))
            return
        if heard.offset is not None:
            self.offset = heard.offset
        self.told.append(event)
        self._world.story.tell(self.name, "is told", event)
        self._note(event)
        self._world.checks.told(self, event)
        if heard.re is not None:
            self._answered(heard.re)
        if isinstance(event, Connected):
            self._ask_again()

    def _note(self, event: Event) -> None:
        """Know from it where one is."""
        if isinstance(event, Connected):
            self.is_in = True
            self.tried.clear()
        elif isinstance(event, SessionLost) and self._is_fresh and self._goes_on:
            self._begin(is_recovered=False)
        elif isinstance(event, Subscribed):
            self.rooms[event.room] = None
        elif isinstance(event, Unsubscribed):
            self.rooms.pop(event.room, None)
        self._is_fresh = isinstance(event, Connected) and self.pid != self._former_pid

    def _let_in(self, sid: str, pid: str | None) -> None:
        self._begin(is_recovered=sid == self.sid)
        self._former_pid = self.pid
        self.sid, self.pid = sid, pid

    def _begin(self, *, is_recovered: bool) -> None:
        self._goes_on = is_recovered
        if not is_recovered:
            self.session += 1
            self.rooms.clear()
        self._world.checks.came(self, is_recovered=is_recovered)

    def _answered(self, number: int) -> None:
        asked = self.asked.get(number)
        if asked is not None:
            asked.answered = True

    def _ask_again(self) -> None:
        """What was not answered, by the ids that it was asked by."""
        for number, asked in list(self.asked.items()):
            if asked.request_id is not None and not asked.answered:
                asked.is_repeat = True
                asked.connection = self.connection
                asked.at = self._world.loop.time()
                self._say(number, asked)
