"""What `call` and `listen` do with a connection."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import anyio

from lbproto.cli.client import BOUNDS, Heard, telling
from lbproto.cli.following import Following
from lbproto.client import Client, Disconnected, Reconnect
from lbproto.client.address import Address
from lbproto.client.codecs import Heard as ClientHeard
from lbproto.client.link import Credentials, Link, connect
from lbproto.errors import RequestError
from lbproto.overflow import drop_oldest
from lbproto.scheduling.tasks import background_tasks
from lbproto.wire.settings import ProtocolError

__all__ = ["call", "listen"]

_REQUEST = 1
_BARRIER = 2
_QUESTION = 3
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
        Failure: nobody lets us in; the connection was lost; or what becomes of a job is not known.
    """
    accepted, handled, answered = True, False, False
    job = Following(data)
    address, credentials = Address.of(url, socketio=False), Credentials(token)
    with telling(token):
        async with connect(address, "plain-json", credentials, bounds=BOUNDS) as link:
            with _interruptible(link, job):
                await link.send(event, data, _REQUEST)
                await link.send("ping", {}, _BARRIER)
                while not (handled and answered) or job.runs:
                    if (question := job.question()) is not None:
                        await link.send(question.event_name, question, _QUESTION)
                    for each in await _heard(link, job):
                        handled = handled or each.re == _BARRIER
                        if each.re not in (_REQUEST, _QUESTION):
                            continue
                        heard = Heard(each.name, each.payload.plain(), _REQUEST)
                        if each.re == _QUESTION and job.answered(heard):
                            continue
                        answered = True
                        job.hear(heard)
                        show(heard)
                        accepted = accepted and not heard.refusal
    return accepted


async def _heard(link: Link, job: Following) -> list[ClientHeard]:
    """What comes next; nothing, where there is no more patience for it."""
    with anyio.move_on_after(job.patience):
        return await link.receive()
    job.silent()
    return []


@contextmanager
def _interruptible(link: Link, job: Following) -> Iterator[None]:
    """Let Ctrl-C cancel the job; where there is none, or again, it ends the program."""
    loop = asyncio.get_running_loop()
    sending: set[asyncio.Task[None]] = set()

    def interrupt() -> None:
        if sending or not (job.runs and job.names):
            raise KeyboardInterrupt
        for name in job.names:
            sending.add(loop.create_task(link.send("cancel", {"id": name})))

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
