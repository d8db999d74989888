"""Long-polling as a transport: frames wait for the next poll, a poll waits for the next frames."""

from __future__ import annotations

from collections.abc import Sequence

import anyio

from lbproto.frame import Frame, Message
from lbproto.transport import CloseCode, Transport
from lbproto.wire.engineio import CLOSE, NOOP, encode_payload

__all__ = ["Polls"]


class Polls(Transport):
    """The polls of one session, until it ends or a websocket takes over."""

    __slots__ = ("_farewell", "_offered", "_released", "_successor", "_taken", "_waiting")

    def __init__(self) -> None:
        self._offered: list[Message] | None = None
        self._taken = anyio.Event()
        self._waiting: anyio.Event | None = None
        self._released = False
        self._farewell: str | None = None
        self._successor: Transport | None = None

    async def send(self, frames: Sequence[Frame]) -> None:
        if self._farewell is None and self._successor is None:
            await self._offer([message for frame in frames for message in frame.messages])
            if self._offered is None:
                return
        if self._successor is None:
            raise ConnectionResetError("the session has ended")
        self._offered = None
        await self._successor.send(frames)

    async def close(self, code: CloseCode, reason: str) -> None:  # noqa: ARG002 - HTTP has neither
        self.end(CLOSE)

    async def _offer(self, messages: list[Message]) -> None:
        """Wait until a poll has taken the messages, or no poll ever will."""
        self._offered = messages
        self._taken = anyio.Event()
        self._wake()
        await self._taken.wait()

    @property
    def waiting(self) -> bool:
        """Whether a poll is waiting for frames."""
        return self._waiting is not None

    async def poll(self) -> str:
        """The body of one poll's answer; waits until there is one. One poll at a time."""
        while self._offered is None and self._farewell is None and not self._released:
            self._waiting = anyio.Event()
            try:
                await self._waiting.wait()
            finally:
                self._waiting = None
        if self._offered is not None:
            body = encode_payload(self._offered)
            self._offered = None
            self._taken.set()
            return body
        return self._farewell or NOOP

    def release(self) -> None:
        """Answer polls at once, with nothing if need be: a websocket is about to take over."""
        self._released = True
        self._wake()

    def resume(self) -> None:
        """The websocket did not take over: polls wait again."""
        self._released = False

    def hand_over(self, successor: Transport) -> None:
        """A websocket has taken over; it is sent what no poll has taken."""
        self._successor = successor
        self.release()
        self._taken.set()

    def end(self, farewell: str) -> None:
        """The session is over; the poll that is waiting, or the next one, is told so.

        Args:
            farewell: the packet to answer it with.
        """
        if self._farewell is None:
            self._farewell = farewell
            self._taken.set()
            self._wake()

    def _wake(self) -> None:
        if self._waiting is not None:
            self._waiting.set()
