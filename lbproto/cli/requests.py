"""What `call` and `listen` do with a connection.

What a request begins may be a job, whose events come on after the request has been handled. The
contract tells by their names: `x_started` (or, of a chat, `x_typing`) is followed by `x_completed`
(or `x_response`), or by `x_error`. An end of another name is not known as one: it is
waited for until Ctrl-C, which has to be pressed twice where the job has an id.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from lbproto.cli.client import BOUNDS, Heard, telling
from lbproto.client import Client, Disconnected, Reconnect
from lbproto.client.address import Address
from lbproto.client.link import Credentials, Link, connect
from lbproto.errors import RequestError
from lbproto.overflow import drop_oldest
from lbproto.tasks import background_tasks
from lbproto.wire.settings import ProtocolError

__all__ = ["call", "listen"]

_REQUEST = 1
_BARRIER = 2
_WAITING = 100_000  # events that may wait to be shown
_SOON = Reconnect(most=3.0)  # somebody looks on

Show = Callable[[Heard], None]


async def call(url: str, token: str, event: str, data: Any, show: Show) -> bool:
    """Send one request and show the events that answer it.

    A server handles a session's requests in order. So a `ping` is sent behind it, and when its
    answer comes, the request has got all of its own, but for those of a job: that answers later,
    is followed to its end, and is cancelled by Ctrl-C.

    Returns:
        Whether none of them was a refusal.

    Raises:
        Failure: nobody lets us in; or the connection was lost.
    """
    accepted, handled, answered = True, False, False
    job = _Job()
    address, credentials = Address.of(url, socketio=False), Credentials(token)
    with telling(token):
        async with connect(address, "plain-json", credentials, bounds=BOUNDS) as link:
            with _interruptible(link, job):
                await link.send(event, data, _REQUEST)
                await link.send("ping", {}, _BARRIER)
                while not (handled and answered) or job.runs:
                    for each in await link.receive():
                        handled = handled or each.re == _BARRIER
                        if each.re == _REQUEST:
                            heard = Heard(each.name, each.payload.plain(), each.re)
                            answered = True
                            job.hear(heard)
                            show(heard)
                            accepted = accepted and not heard.refusal
    return accepted


class _Job:
    """What is known of the job that a request may have begun.

    Attributes:
        id: by which it is cancelled; "" as long as there is none.
        runs: whether its end is still to come.
    """

    def __init__(self) -> None:
        self.id = ""
        self.runs = False
        self._ends: tuple[str, ...] = ()

    def hear(self, heard: Heard) -> None:
        """Something has answered the request."""
        for begin, end in _STAGES.items():
            if heard.event.endswith(begin) and not self._ends:
                stem = heard.event.removesuffix(begin)
                self._ends = (stem + end, stem + "_error")
                self.runs = True
                self.id = _id_in(heard.data)
        if heard.event in self._ends:
            self.runs = False


_STAGES = {"_started": "_completed", "_typing": "_response"}


def _id_in(data: Any) -> str:
    fields = data.items() if isinstance(data, dict) else ()
    return next((str(value) for name, value in fields if name.endswith("Id")), "")


@contextmanager
def _interruptible(link: Link, job: _Job) -> Iterator[None]:
    """Let Ctrl-C cancel the job; where there is none, or again, it ends the program."""
    loop = asyncio.get_running_loop()
    sending: set[asyncio.Task[None]] = set()

    def interrupt() -> None:
        if not (job.runs and job.id):
            raise KeyboardInterrupt
        sending.add(loop.create_task(link.send("cancel", {"id": job.id})))
        job.id = ""

    with suppress(NotImplementedError):  # on Windows it always ends the program
        loop.add_signal_handler(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        with suppress(NotImplementedError):
            loop.remove_signal_handler(signal.SIGINT)
        for task in sending:
            task.cancel()


async def listen(url: str, token: str, rooms: Sequence[str], count: int | None, show: Show) -> bool:
    """Subscribe to rooms and show what comes, until there were `count` events; None: for ever.

    It comes back when the connection is lost.

    Returns:
        Whether all rooms let us in; it ends at the first that does not.

    Raises:
        Failure: nobody lets us in; or the connection was lost for good.
    """
    refused = False
    with telling(token):
        async with (
            Client(url, token=token, bounds=BOUNDS, reconnect=_SOON) as client,
            background_tasks() as tasks,
        ):
            heard = client.listen_raw(overflow=drop_oldest, max_events=_WAITING)

            async def join() -> None:
                nonlocal refused
                try:
                    for room in rooms:
                        await client.subscribe(room)
                except RequestError:
                    refused = True
                    heard.close()
                except (Disconnected, ProtocolError, TimeoutError) as error:
                    heard.end(error)

            tasks.start_soon(join)
            shown = 0
            async for event in heard:
                show(Heard(event.name, event.data, event.re))
                shown += 1
                if shown == count:
                    break
    return not refused
