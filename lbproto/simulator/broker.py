"""A broker in virtual time, below the real pub/sub over a broker: it is late, and loses links.

Theory of operation. `BrokeredPubSub` runs as it is, with its parcels, echoes and subscriptions;
only its links are simulated. What a link carries arrives later, in order for each publisher and
channel, and in any order else, as the port has it. A node that is cut off gets nothing through in
either direction; what was on its way arrives when that ends, if the link has not been given up by
then. So parcels are lost, and, sent again by the next link, come twice. Some come twice anyway:
numbers tell. By the channel of the nodes, whose messages are numbered once more, some overtake
others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from math import inf, nextafter
from random import Random

from lbproto.backends.brokered import BrokeredPubSub
from lbproto.backends.link import Confirm, Deliver, Link
from lbproto.backends.parcels import ROOM, Packed
from lbproto.registry import RESERVED
from lbproto.simulator.chance import stream
from lbproto.simulator.loop import Process, VirtualLoop

__all__ = ["Broker", "SimulatedPubSub", "behind", "latency"]

_NODES = f"{ROOM}{RESERVED}nodes"
_NEVER = 3_600.0  # seconds: longer than anybody waits


def latency(random: Random) -> float:
    """How long something takes that goes over a network, in seconds: sometimes much longer."""
    chance = random.random()
    if chance < 0.9:
        return 0.0002 + 0.002 * random.random()
    return 0.05 * random.random() if chance < 0.995 else 0.5 * random.random()


def behind(before: float, at: float) -> float:
    """When something arrives that would at `at`, but may not overtake what does at `before`."""
    return max(at, nextafter(before, inf))  # of two at the very same time either may be first


class Broker:
    """What the nodes' pub/subs connect to.

    Args:
        loop: of the world.
        seed: decides how late it is, and what comes twice.

    Attributes:
        seed: likewise.
        is_down: whether it lets nobody connect; its links are lost then.
        cut: names of the nodes that it cannot be reached from.
        doubled, overtaken: parcels that came twice, and that were overtaken.
    """

    def __init__(self, loop: VirtualLoop, seed: int) -> None:
        self.loop = loop
        self.is_down = False
        self.cut: dict[str, None] = {}
        self.seed = seed
        self.doubled = self.overtaken = 0
        self._links: dict[_Link, None] = {}
        self._made = 0

    def open(self, node: str, process: Process) -> _Link:
        """A link, once the broker has been reached."""
        self._made += 1
        link = _Link(self, node, process, stream(self.seed, "link", node, self._made))
        self._links[link] = None
        return link

    def forget(self, link: _Link) -> None:
        """A link is over."""
        self._links.pop(link, None)

    def links_of(self, node: str) -> list[_Link]:
        """Those of one node."""
        return [link for link in self._links if link.node == node]

    def pass_on(self, publisher: str, name: str, data: bytes) -> None:
        """A message has reached the broker."""
        for link in list(self._links):
            if name in link.names:
                link.send(publisher, name, data)

    def stop(self) -> None:
        """Lose all links, and let nobody in until `start`."""
        self.is_down = True
        for link in list(self._links):
            link.break_()

    def start(self) -> None:
        """Be there again."""
        self.is_down = False

    def cut_off(self, node: str) -> None:
        """Let nothing through to and from a node."""
        self.cut[node] = None

    def reach(self, node: str) -> None:
        """Let it through again, and what was on its way."""
        self.cut.pop(node, None)
        for link in self.links_of(node):
            link.let_through()


class _Link(Link):
    def __init__(self, broker: Broker, node: str, process: Process, random: Random) -> None:
        self.node = node
        self.names: dict[str, None] = {}
        self._broker = broker
        self._loop = broker.loop
        self._process = process
        self._random = random
        self._late: list[Callable[[], None]] = []  # what waits for the way to be open again
        self._busy: dict[tuple[str, str], float] = {}  # when the last of a publisher comes, by name
        self._deliver: Deliver | None = None
        self._confirm: Confirm | None = None
        self._broken: asyncio.Future[None] = self._loop.create_future()
        self._is_open = True
        self._sent_until = 0.0

    # For the node

    async def publish(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """Send messages, by name; returns once the broker has taken them."""
        taken: asyncio.Future[None] = self._loop.create_future()

        def arrive() -> None:
            for name, data in messages:
                self._broker.pass_on(self.node, name, data)
            self._after(lambda: None if taken.done() else taken.set_result(None))

        self._outwards(arrive)
        await self._or_broken(taken)

    async def change(self, added: Collection[str], removed: Collection[str]) -> None:
        added, removed = list(added), list(removed)

        def arrive() -> None:
            for name in removed:
                self.names.pop(name, None)
            for name in added:
                self.names[name] = None
            self._after(lambda: self._process.call(self._tell_confirmed, added))

        self._outwards(arrive)

    async def receive(self, deliver: Deliver, confirm: Confirm) -> None:
        self._deliver, self._confirm = deliver, confirm
        await asyncio.shield(self._broken)

    async def close(self) -> None:
        self.break_()

    async def _or_broken(self, taken: asyncio.Future[None]) -> None:
        await asyncio.wait([taken, self._broken], return_when=asyncio.FIRST_COMPLETED)
        if not taken.done():
            raise ConnectionResetError("the broker is gone")

    # For the broker

    def break_(self) -> None:
        """It leads nowhere from now on; what is on its way is lost."""
        if self._is_open:
            self._is_open = False
            self._late.clear()
            self._broker.forget(self)
            self._broken.set_exception(ConnectionResetError("the broker is gone"))
            self._broken.exception()  # it may be that nobody asks

    def send(self, publisher: str, name: str, data: bytes) -> None:
        """Send a message to the node."""
        random, key = self._random, (publisher, name)
        at = behind(self._busy.get(key, 0.0), self._loop.time() + latency(random))
        chance = random.random()
        if name == _NODES and chance < 0.05:
            self._broker.overtaken += 1
            at += 0.2 * random.random()  # and what follows does not wait for it
        else:
            self._busy[key] = at
        self._at(at, name, data)
        if chance > 0.97 and publisher != self.node:
            self._broker.doubled += 1
            self._at(at + 0.5 * random.random(), name, data)

    def let_through(self) -> None:
        """The way is open again."""
        late, self._late = self._late, []
        for each in late:
            self._passes(each)

    def _at(self, when: float, name: str, data: bytes) -> None:
        def arrive() -> None:
            self._passes(lambda: self._process.call(self._take, name, data))

        self._loop.call_at(when, arrive)

    def _take(self, name: str, data: bytes) -> None:
        if self._is_open and self._deliver is not None:
            self._deliver(name, data)

    def _tell_confirmed(self, names: Sequence[str]) -> None:
        if self._is_open and self._confirm is not None:
            for name in names:
                self._confirm(name)

    def _outwards(self, arrive: Callable[[], None]) -> None:
        """From the node to the broker, in order."""
        at = self._sent_until = behind(self._sent_until, self._loop.time() + latency(self._random))
        self._loop.call_at(at, self._passes, arrive)

    def _after(self, arrive: Callable[[], None]) -> None:
        """And back; nothing is in order there but a name's own."""
        self._loop.call_later(latency(self._random), self._passes, arrive)

    def _passes(self, arrive: Callable[[], None]) -> None:
        if not self._is_open:
            return
        if self.node in self._broker.cut:
            self._late.append(arrive)
        else:
            arrive()


class SimulatedPubSub(BrokeredPubSub[_Link]):
    """Pub/sub over a `Broker`.

    Args:
        broker: shared by the nodes.
        node: the name of this one.
        process: that it runs in.
    """

    def __init__(self, broker: Broker, node: str, process: Process) -> None:
        super().__init__("simulated:")
        self._broker = broker
        self._name_of_node = node
        self._process = process
        self._random = stream(broker.seed, "connecting", node)

    def kill(self) -> None:
        """The node is dead: what it would still say is not heard."""
        for link in self._broker.links_of(self._name_of_node):
            link.break_()

    async def _connect(self) -> _Link:
        await asyncio.sleep(latency(self._random))
        if self._name_of_node in self._broker.cut:
            await asyncio.sleep(_NEVER)
        if self._broker.is_down or self._process.is_dead:
            raise ConnectionRefusedError("the broker is down")
        return self._broker.open(self._name_of_node, self._process)

    async def _send(self, link: _Link, packed: Sequence[Packed]) -> None:
        await link.publish([(ROOM + each.channel, each.data) for each in packed])

    async def _send_echoes(self, link: _Link) -> None:
        await link.publish([(name, b"") for name in self._echoes()])
