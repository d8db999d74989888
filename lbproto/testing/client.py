"""A client in memory: no socket is opened, and every byte goes through the codecs all the same."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar, overload

import msgspec

from lbproto.errors import ErrorCode
from lbproto.events import Event
from lbproto.messages import CreditsInsufficient, Error
from lbproto.server import Server
from lbproto.testing.checks import ContractViolation
from lbproto.testing.clock import settle
from lbproto.testing.codecs import Wire
from lbproto.testing.line import Closed, Line, Outgoing
from lbproto.testing.transcript import Entry

__all__ = ["Client", "connect"]

E = TypeVar("E", bound=Event)


class Client(Line):
    """One client of a server; made by `connect`.

    What the server sends waits until the test asks for it. Whatever is awaited here lets all happen
    first that can without time passing; with a `timeout`, it then moves the server's clock, at most
    by so many seconds.
    """

    @overload
    async def request(
        self,
        event: Outgoing,
        /,
        *,
        timeout: float = 0.0,  # noqa: ASYNC109 - of virtual time
    ) -> Event | None: ...

    @overload
    async def request(
        self,
        event: Outgoing,
        answer: type[E],
        /,
        *,
        timeout: float = 0.0,  # noqa: ASYNC109 - of virtual time
    ) -> E: ...

    async def request(
        self,
        event: Outgoing,
        answer: type[Event] | None = None,
        /,
        *,
        timeout: float = 0.0,  # noqa: ASYNC109 - of virtual time
    ) -> Event | None:
        """Send a request that asks for an acknowledgement.

        Args:
            event: the request.
            answer: the class that the answer must have.
            timeout: seconds of virtual time that the server has.

        Returns:
            The first event that answers, also where that is a refusal; None where the server
            acknowledges the request and no event answers it. This event no longer waits to be
            expected; those behind it do.

        Raises:
            AssertionError: no answer came, or one of another class.
            UsageError: the connection is over.
        """
        self._requests += 1
        id_ = self._requests
        name = self._send(event, id_)
        await self._clock.advance_until(
            lambda: id_ in self._answers or self.closed is not None, timeout
        )
        if id_ not in self._answers:
            raise self._failure(f"no answer to `{name}` came{_within(timeout)}")
        found = self._answer(self._answers.pop(id_), name)
        if answer is not None and not isinstance(found, answer):
            raise self._failure(f"{answer.__name__} does not answer `{name}`: {found!r} does")
        return found

    def _answer(self, answer: Entry, request: str) -> Event | None:
        """The event that an acknowledgement is about; it no longer waits to be expected."""
        if answer in self._unread:  # plain WebSocket: an event is the acknowledgement
            self._unread.remove(answer)
            return answer.typed
        body = answer.data
        for entry in self._unread:
            if _is_about(body, entry):
                self._unread.remove(entry)
                return entry.typed
        if not body["ok"]:
            return msgspec.convert({**body["error"], "event": request}, Error)
        return self._typed(body["event"], body["data"])[0] if "event" in body else None

    async def expect(
        self,
        event: type[E],
        /,
        *,
        timeout: float = 0.0,  # noqa: ASYNC109 - of virtual time
        **fields: Any,
    ) -> E:
        """Wait for an event; what else has come stays to be expected.

        Args:
            event: its class.
            timeout: seconds of virtual time that may pass until it comes.
            fields: what its fields must be, by their Python names.

        Returns:
            The first such event that has not been expected yet.

        Raises:
            AssertionError: none came; the message says what did.
            TypeError: the class has no such field.
        """
        for unknown in fields.keys() - set(event.__struct_fields__):
            raise TypeError(f"{event.__name__} has no field {unknown!r}")
        await self._clock.advance_until(lambda: self._first(event, fields) is not None, timeout)
        entry = self._first(event, fields)
        if entry is None:
            wanted = f"{event.__name__}({_shown(fields.items())})"
            came = [each.typed for each in self._unread if isinstance(each.typed, event)]
            others = "".join(f"\n  but {each!r}" for each in came)
            raise self._failure(f"{wanted} did not come{_within(timeout)}{others}")
        self._unread.remove(entry)
        assert isinstance(entry.typed, event)  # noqa: S101 - that is how it was found
        return entry.typed

    def _first(self, event: type[Event], fields: Mapping[str, Any]) -> Entry | None:
        for entry in self._unread:
            found = entry.typed
            if isinstance(found, event) and all(
                getattr(found, name) == value for name, value in fields.items()
            ):
                return entry
        return None

    async def expect_nothing(self, event: type[Event] = Event, /, *, seconds: float = 0.0) -> None:
        """Make sure that nothing is left to be expected.

        Args:
            event: look for this class only.
            seconds: of virtual time, that pass first.

        Raises:
            AssertionError: something is.
        """
        await self._clock.advance(seconds)
        left = [entry for entry in self._unread if event is Event or isinstance(entry.typed, event)]
        if left:
            names = ", ".join(f"`{entry.event}`" for entry in left)
            raise self._failure(f"nothing was expected{_within(seconds)}, but {names} came")

    async def expect_closed(
        self,
        *,
        timeout: float = 0.0,  # noqa: ASYNC109 - of virtual time
    ) -> Closed:
        """Wait until the connection is over.

        Args:
            timeout: seconds of virtual time that may pass until then.

        Raises:
            AssertionError: it is still open.
        """
        await self._clock.advance_until(lambda: self.closed is not None, timeout)
        if self.closed is None:
            raise self._failure(f"the connection was not closed{_within(timeout)}")
        return self.closed

    @overload
    async def take(self, /) -> list[Event]: ...

    @overload
    async def take(self, event: type[E], /) -> list[E]: ...

    async def take(self, event: type[Event] = Event, /) -> list[Any]:
        """All events of a class that wait to be expected, in order; they no longer do."""
        await settle()
        taken = [entry for entry in self._unread if isinstance(entry.typed, event)]
        self._unread = [entry for entry in self._unread if not isinstance(entry.typed, event)]
        return [entry.typed for entry in taken]


@asynccontextmanager
async def connect(
    server: Server,
    token: str = "",
    *,
    wire: Wire = "socketio-json",
    answer_pings: bool = True,
    check: bool = True,
) -> AsyncIterator[Client]:
    """Connect a client to a server that runs; it leaves at the end.

    Args:
        server: on a `VirtualClock`.
        token: what the client shows.
        wire: what it speaks.
        answer_pings: whether it answers Engine.IO's heartbeats.
        check: fail at the end if the server sent what it does not declare.

    Raises:
        Refused: the server does not let the client in (`lbproto.wire.Refused`).
        ContractViolation: at the end, it sent an event that no plugin declares, or that does not
            decode strictly into its class.
        UsageError: the server does not run, or not on a `VirtualClock`.
        Overloaded: the server takes no new connections.
    """
    client = Client(server, token, wire, answer_pings=answer_pings)
    await client.open()
    try:
        yield client
        await settle()
    except BaseException as error:
        if check and client.violations:
            error.add_note(str(ContractViolation(client.violations)))
        client.drop()
        raise
    client.close()
    await settle()
    if check and client.violations:
        raise ContractViolation(client.violations)


def _is_about(body: Any, entry: Entry) -> bool:
    """Whether an acknowledgement speaks of this event."""
    if body["ok"]:
        return (entry.event, entry.data) == (body.get("event"), body.get("data"))
    if isinstance(entry.typed, CreditsInsufficient):  # it has no envelope to compare
        return bool(body["error"]["code"] == ErrorCode.INSUFFICIENT_CREDITS)
    return isinstance(entry.data, dict) and body["error"].items() <= entry.data.items()


def _shown(fields: Iterable[tuple[str, Any]]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in fields)


def _within(seconds: float) -> str:
    return f" within {seconds:g} s" if seconds else ""
