"""Many clients of one server, in one thread."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from itertools import islice
from time import monotonic
from types import TracebackType

from lbproto.load.client import Client, Setting, State
from lbproto.load.counting import Tally, delay_pattern
from lbproto.load.descriptors import allow_connections
from lbproto.load.dialect import Dialect
from lbproto.load.errors import LoadError
from lbproto.load.frames import client_frame
from lbproto.load.poller import open_poller
from lbproto.load.results import Connected, CrowdStatistics
from lbproto.load.target import Target
from lbproto.load.usage import ServerProcess

__all__ = ["Crowd"]

_PATIENCE_SECONDS = 20.0  # seconds without progress
_POLL_SECONDS = 0.1  # seconds that are waited for something to happen, before one looks around
_QUIET_SECONDS = 0.02  # seconds without a message: nothing is under way
_SETTLE_SECONDS = 2.0  # seconds that quiet is waited for, where there may be none
_CLOSE_SECONDS = 2.0  # seconds for the server to end the connections of those who leave

Tell = Callable[[int], None]


class Crowd:
    """Clients of one server; a context manager, at whose end they leave.

    Connect, subscribe if there are rooms, then measure, as often as needed, with the functions of
    `lbproto.load`. One thread uses it at a time. Nothing happens between two calls: heartbeats are
    answered within them only, so call `idle` to wait.

    Args:
        url: the server's address: `ws://` or `http://`. A path in it goes before the dialect's.
        dialect: what is spoken.
        clients: how many, at least 1.
        inflight: how many of them connect, or subscribe, at the same time.
        stalled: how many of them never read once they have subscribed.
        process: the server's process, if it is to be measured too.
        patience: seconds without any progress after which it is given up.

    Raises:
        LoadError: so many clients cannot be had, or the address is not valid.
        ValueError: a number is out of range.
    """

    def __init__(
        self,
        url: str,
        dialect: Dialect,
        clients: int,
        *,
        inflight: int = 64,
        stalled: int = 0,
        process: ServerProcess | None = None,
        patience: float = _PATIENCE_SECONDS,
    ) -> None:
        if clients < 1 or inflight < 1 or not 0 <= stalled < clients:
            raise ValueError("clients and inflight must be at least 1, and stalled below clients")
        self.dialect = dialect
        self.process = process
        self.patience = patience
        self.stopping = False
        self._clients: list[Client] = []
        self._number = clients
        self._inflight = inflight
        self._stalled = stalled
        self._target = Target.of(url)
        allow_connections(clients)
        self._poller = open_poller()
        self._by_fd: dict[int, Client] = {}
        self._publisher: Client | None = None
        self._listening = False
        self.tally = Tally(self._poller.poll, self)

    def __enter__(self) -> Crowd:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # Getting there

    def connect(self, progress: Tell | None = None) -> Connected:
        """Connect all clients.

        Args:
            progress: told how many are there, now and then.

        Returns:
            How long it took until the last was let in.

        Raises:
            LoadError: one cannot connect, or is not let in.
        """
        setting = self._setting()
        self._clients = [
            Client(
                f"client {number + 1} of {self._number}", number, setting, slow=self._stalls(number)
            )
            for number in range(self._number)
        ]
        return self._bring(self._clients, self._open, State.CONNECTED, progress)

    def subscribe(self, rooms: str | Sequence[str], progress: Tell | None = None) -> Connected:
        """Have all clients join a room; those who stall stop reading then.

        Args:
            rooms: several are dealt out in turn.
            progress: told how many are there, now and then.

        Returns:
            How long it took until the last was in.

        Raises:
            LoadError: one is refused.
            RuntimeError: they have been measured already, or are not connected.
        """
        if self._listening or not self._clients:
            raise RuntimeError("subscribe once all are connected, and before measuring")
        names = [rooms] if isinstance(rooms, str) else list(rooms)
        dealt = {client: names[at % len(names)] for at, client in enumerate(self._clients)}
        taken = self._bring(
            self._clients,
            lambda client: client.subscribe(dealt[client]),
            State.SUBSCRIBED,
            progress,
        )
        for client in self._clients[: self._stalled]:
            client.stall()
        return taken

    def statistics(self) -> CrowdStatistics:
        """The current figures of the clients."""
        return CrowdStatistics(
            connected=sum(
                State.CONNECTED <= client.state <= State.SUBSCRIBED for client in self._clients
            ),
            subscribed=sum(client.state is State.SUBSCRIBED for client in self._clients),
            stalled=self._stalled if self._has(State.SUBSCRIBED) else 0,
            counts=[self.tally.counts.get(client.fd, 0) for client in self.readers],
        )

    def stop(self) -> None:
        """End what is being measured, as if its time were up, and whatever would be afterwards.

        May be called in a signal handler, or by what is told the progress.
        """
        self.stopping = True

    def close(self) -> None:
        """Have all clients leave; no effect the second time."""
        everyone = [*self._clients, *([self._publisher] if self._publisher else [])]
        leaving = {client.fd: client for client in everyone if client.leave()}
        deadline = monotonic() + _CLOSE_SECONDS
        while leaving and (left := deadline - monotonic()) > 0:
            for fd, _ in self._poller.poll(left):
                if fd in leaving and _over(leaving[fd]):
                    self._poller.unregister(fd)
                    del leaving[fd]
            if all(self._stalls(client.number) for client in leaving.values()):
                break  # what they have not read is before the goodbye
        for client in everyone:
            client.close()
        self._clients, self._publisher = [], None
        self._by_fd.clear()
        self._poller.close()

    # For those who measure

    @property
    def readers(self) -> list[Client]:
        """The clients that read."""
        return self._clients[self._stalled if self._has(State.SUBSCRIBED) else 0 :]

    @property
    def population(self) -> Counter[str]:
        """How many clients of each room read; where there are no rooms, that of the empty name."""
        return Counter(client.room for client in self.readers)

    def publisher(self) -> Client:
        """A client beside the others, that is not counted.

        Raises:
            LoadError: it cannot connect.
        """
        if self._publisher is None:
            client = Client("the publisher", self._number, self._setting())
            self._publisher = client
            self._bring([client], self._open, State.CONNECTED)
        return self._publisher

    @property
    def publisher_heard(self) -> bytes:
        """The last message to the publisher; empty if there is none."""
        return self._publisher.heard if self._publisher is not None else b""

    def count(self, marker: str | bytes, *, every: int = 0, timestamp: str = "") -> Tally:
        """Have messages counted instead of read one by one, from the next quiet moment on.

        Args:
            marker: what occurs once in each.
            every: of how many one is looked at for its delay; 0: none is.
            timestamp: the field to see it by; empty: none.
        """
        if not self._clients:
            raise RuntimeError("connect before measuring")
        tally, dialect = self.tally, self.dialect
        beat = dialect.heartbeat and (_server_frame(dialect.heartbeat[0]), dialect.heartbeat[1])
        tally.mark(
            marker if isinstance(marker, bytes) else marker.encode(),
            beat and (beat[0], client_frame(beat[1])),
            binary=dialect.packed,
        )
        if not self._listening:
            self._listening = True
            for client in self.readers:
                tally.listen(client.fd, client.receive, client.reader.rest)
            if self._publisher is not None:
                tally.aside[self._publisher.fd] = self._publisher.ready
        self._settle()
        pattern = delay_pattern(timestamp, binary=dialect.packed) if timestamp else None
        tally.sample(every, pattern)
        return tally

    def turn(self, timeout: float) -> int:
        """Wait for something to happen, and see to it.

        Args:
            timeout: seconds.

        Returns:
            At how many connections something has happened.

        Raises:
            LoadError: a client cannot go on.
        """
        if self._listening:
            return self.tally.turn(timeout)
        ready = self._poller.poll(timeout)
        for fd, events in ready:
            self._by_fd[fd].ready(events)
        return len(ready)

    # For the tally

    def send(self, fd: int, data: bytes) -> None:
        """Send bytes at a connection."""
        self._by_fd[fd].send(data)

    def flush(self, fd: int) -> None:
        """Send what a connection could not take before."""
        self._by_fd[fd].flush()

    def ended(self, fd: int, last: bytes, error: OSError | None) -> LoadError:
        """A connection has ended."""
        return self._by_fd[fd].ended(last, error)

    # Within

    def _stalls(self, number: int) -> bool:
        return number < self._stalled

    def _has(self, state: State) -> bool:
        return bool(self._clients) and self._clients[0].state is state

    def _setting(self) -> Setting:
        family, address = self._target.resolve()
        return Setting(self._target, family, address, self.dialect, self._poller)

    def _open(self, client: Client) -> None:
        client.open()
        self._by_fd[client.fd] = client
        if self._listening:
            self.tally.aside[client.fd] = client.ready

    def _bring(
        self,
        clients: Collection[Client],
        begin: Callable[[Client], None],
        goal: State,
        tell: Tell | None = None,
    ) -> Connected:
        """Have all clients do something, a few at a time, until they have got that far."""
        start = progress = monotonic()
        waiting: set[Client] = set()
        coming = iter(clients)
        arrived = 0
        while arrived < len(clients):
            for client in islice(coming, self._inflight - len(waiting)):
                begin(client)
                waiting.add(client)
            self.turn(_POLL_SECONDS)
            there = {client for client in waiting if client.state >= goal}
            waiting -= there
            arrived += len(there)
            if there:
                progress = monotonic()
                if tell is not None:
                    tell(arrived)
            elif monotonic() - progress > self.patience:
                raise next(iter(waiting)).silent(self.patience)
        return Connected(len(clients), monotonic() - start)

    def _settle(self) -> None:
        """Wait until nothing is under way: then all have heard the same."""
        end = monotonic() + _SETTLE_SECONDS
        while self.turn(_QUIET_SECONDS) and monotonic() < end:
            pass


def _server_frame(text: str) -> bytes:
    return bytes((0x81, len(text))) + text.encode()


def _over(client: Client) -> bool:
    """Whether the server has ended this connection; what it says before is not listened to."""
    try:
        return client.receive(1 << 16) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
