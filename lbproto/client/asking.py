"""Requests that wait for their answers. Pure but for the wait."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import anyio
import msgspec

from lbproto.client.codecs import Heard
from lbproto.client.errors import refusal, refusal_in
from lbproto.client.payloads import PlainPayload
from lbproto.encoded import plain_hook
from lbproto.errors import InsufficientCredits, RequestError
from lbproto.events import Event
from lbproto.ids import new_id
from lbproto.messages import CreditsInsufficient
from lbproto.validation.reserved import REQUEST_ID
from lbproto.wire.settings import ProtocolError

__all__ = ["Asked", "Asking", "tagged"]


class _Body(msgspec.Struct):
    """An acknowledgement of Socket.IO, and of plain WebSocket where no event answers."""

    ok: bool
    event: str | None = None
    data: Any = None
    error: Any = None


class Asked:
    """A request that waits.

    Args:
        settled: told at once when it is answered, before anything else is read; None for nobody.

    Attributes:
        link: the connection that it was sent over last; None before.
        error: why it has failed; None where it has not, or waits.
        answer: the event that answers it; None where none does, or it waits.
    """

    def __init__(self, settled: Callable[[Heard | None], None] | None = None) -> None:
        self.link: object = None
        self.error: Exception | None = None
        self.answer: Heard | None = None
        self._settled = settled
        self._done = anyio.Event()

    @property
    def done(self) -> bool:
        """Whether it waits no longer."""
        return self._done.is_set()

    async def wait(self) -> None:
        """Wait for its answer.

        Raises:
            Exception: why it was not answered.
        """
        await self._done.wait()
        if self.error is not None:
            raise self.error

    def answered(self, answer: Heard | None) -> None:
        """This answers it."""
        if not self.done:
            self.answer = answer
            self._done.set()
            if self._settled is not None:
                self._settled(answer)

    def failed(self, error: Exception) -> None:
        """There will be no answer."""
        if not self.done:
            self.error = error
            self._done.set()

    def again(self) -> None:
        """Note that the request is about to be sent again."""
        self.error = None
        self._done = anyio.Event()


class Asking:
    """The requests of a client that wait, by what they are called.

    Args:
        known: the class of an event by its name.
    """

    def __init__(self, known: Callable[[str], type[Event] | None]) -> None:
        self._known = known
        self._numbers = 0
        self._waiting: dict[int, Asked] = {}
        self._short: CreditsInsufficient | None = None  # the last: the acknowledgement lacks that

    def __len__(self) -> int:
        return len(self._waiting)

    def new_id(self) -> int:
        """What to call a request."""
        self._numbers += 1
        return self._numbers

    def add(self, id_: int, asked: Asked) -> None:
        """A request is about to be sent; it is forgotten when it is settled."""
        self._waiting[id_] = asked

    def remove(self, id_: int) -> None:
        """Forget a request that nobody waits for."""
        self._waiting.pop(id_, None)

    def hear(self, heard: Heard) -> None:
        """An event or an acknowledgement has come; most answer nothing that waits."""
        if heard.name == CreditsInsufficient.event_name:
            with suppress(ProtocolError):
                self._short = heard.typed(CreditsInsufficient)
        asked = None if heard.re is None else self._waiting.pop(heard.re, None)
        if asked is None:
            return
        try:
            answer = self._acknowledged(heard) if heard.kind == "ack" else self._event(heard)
        except (RequestError, ProtocolError) as error:
            asked.failed(error)
        else:
            asked.answered(answer)

    def lost(self, link: object, error: Exception) -> None:
        """A connection is over: what was sent over it will not be acknowledged."""
        for id_, asked in list(self._waiting.items()):
            if asked.link is link:
                del self._waiting[id_]
                asked.failed(error)

    def _event(self, heard: Heard) -> Heard:
        error = refusal_in(heard.name, heard.payload, self._known(heard.name))
        if error is not None:
            raise error
        return heard

    def _acknowledged(self, heard: Heard) -> Heard | None:
        body, str_keys = heard.payload.into(_Body), heard.payload.str_keys
        if body.ok:
            if body.event is None:
                return None
            data = PlainPayload(body.data, str_keys)
            return Heard("event", data, body.event, size=heard.size)
        error = refusal(PlainPayload(body.error, str_keys))
        short, self._short = self._short, None
        if isinstance(error, InsufficientCredits) and short is not None:
            error.required, error.available = short.required, short.available
        raise error


def tagged(event: Event) -> dict[str, Any]:
    """A request with an id, by which it is served once; one of its own is left as it is."""
    data: dict[str, Any] = msgspec.to_builtins(event, builtin_types=(bytes,), enc_hook=plain_hook)
    data.setdefault(REQUEST_ID, new_id())
    return data
