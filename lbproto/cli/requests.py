"""What `call` and `listen` do with a connection.

What a request begins may be a job, whose events come on after the request has been handled. The
contract tells by their names: `x_started` (or, of a chat, `x_typing`) is followed by `x_completed`
(or `x_response`), or by `x_error`.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from lbproto.cli.client import Client, Heard, connect

__all__ = ["call", "listen"]

_REQUEST = 1
_BARRIER = 2

Show = Callable[[Heard], None]


async def call(url: str, token: str, event: str, data: Any, show: Show) -> bool:
    """Send one request and show the events that answer it.

    A server handles a session's requests in order. So a `ping` is sent behind it, and when its
    answer comes, the request has got all of its own, but for those of a job: that answers later,
    is followed to its end, and is cancelled by Ctrl-C.

    Returns:
        Whether none of them was a refusal.

    Raises:
        Failure: see `connect`; or the connection was lost.
    """
    accepted, handled, answered = True, False, False
    job = _Job()
    async with connect(url, token) as client:
        with _interruptible(client, job):
            await client.send(event, data, _REQUEST)
            await client.send("ping", {}, _BARRIER)
            while not (handled and answered) or job.runs:
                heard = await client.receive()
                handled = handled or heard.re == _BARRIER
                if heard.re == _REQUEST:
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
def _interruptible(client: Client, job: _Job) -> Iterator[None]:
    """Let Ctrl-C cancel the job; where there is none, or again, it ends the program."""
    loop = asyncio.get_running_loop()
    sending: set[asyncio.Task[None]] = set()

    def interrupt() -> None:
        if not (job.runs and job.id):
            raise KeyboardInterrupt
        sending.add(loop.create_task(client.send("cancel", {"id": job.id})))
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

    Returns:
        Whether all rooms let us in; it ends at the first that does not.

    Raises:
        Failure: see `connect`; or the connection was lost.
    """
    async with connect(url, token) as client:
        for number, room in enumerate(rooms, start=1):
            await client.send("subscribe", {"room": room}, number)
        shown = 0
        while shown != count:
            heard = await client.receive()
            show(heard)
            shown += 1
            if heard.re is not None and heard.refusal:
                return False
    return True
