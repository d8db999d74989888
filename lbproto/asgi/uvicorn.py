"""A WebSocket protocol for uvicorn that offers lbproto its own way in and out.

    uvicorn app:app --ws lbproto.asgi.uvicorn:WebSocketProtocol

Everything an ASGI app may do works as with uvicorn's own class, which this one extends, but for
compression, which is never agreed to: it would cost each connection its own encoding, and hundreds
of kilobytes. Beside ASGI, lbproto writes frames that were encoded once, and reads without a pause
and a wake-up per message (`lbproto.asgi.direct`). An ordinary handshake is answered here, without
what uvicorn's class does for the others, which is a sixth of what it costs to let a client in.
Whatever this needs of uvicorn's internals is in this file. Where a version of uvicorn lacks it, the
app is served as ASGI has it, and the log says so.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, cast
from urllib.parse import unquote

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request
from websockets.protocol import Protocol, State

from lbproto.asgi.direct import EXTENSION, Listener
from lbproto.asgi.frames import COMPLETE, TEXT, FrameSplitter, frame_again
from lbproto.asgi.handshake import Handshake, acceptance, read_handshake
from lbproto.frame import Message

__all__ = ["WebSocketProtocol"]

logger = logging.getLogger(__name__)

_NEEDED = (
    *("app_state", "asgi_version", "client", "close_sent", "config", "conn", "default_headers"),
    *("handshake_complete", "handshake_initiated", "logger", "loop"),
    *("on_task_complete", "queue", "read_paused", "root_path", "run_asgi", "scheme"),
    *("send_receive_event_to_app", "server", "start_keepalive", "tasks", "transport"),
)


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """One websocket. Arguments and attributes are uvicorn's."""

    _direct: _Direct | None = None
    _handshake: Handshake | None = None

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.conn.available_extensions = []
        missing = [name for name in _NEEDED if not hasattr(self, name)]
        if missing:
            logger.warning("not the fast lane: uvicorn's websockets have no %s", ", ".join(missing))
        self._own_way = not missing

    # The handshake

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if self._own_way and not self.close_sent:  # else it is refused
            self._offer()

    def _offer(self) -> None:
        """Offer the app our own way; its task has not begun yet."""
        self._direct = _Direct(self)
        extensions: Any = self.scope["extensions"]
        extensions[EXTENSION] = self._direct

    def _begin(self, handshake: Handshake) -> None:
        """Do what `handle_connect` does."""
        self._handshake = handshake
        self.handshake_initiated = True
        conn = self.conn  # is to read frames, and not the request once more
        conn.state, conn.parser = State.OPEN, Protocol.parse(conn)
        next(conn.parser)
        path, _, query = handshake.target.partition(b"?")
        self.scope = {
            "type": "websocket",
            "asgi": {"version": self.asgi_version, "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": self.scheme,
            "server": self.server,
            "client": self.client,
            "root_path": self.root_path,
            "path": self.root_path + unquote(path.decode()),
            "raw_path": self.root_path.encode() + path,
            "query_string": query,
            "headers": handshake.headers,
            "subprotocols": handshake.subprotocols,
            "state": self.app_state.copy(),
            "extensions": {"websocket.http.response": {}},
        }
        self._offer()
        self.queue.put_nowait({"type": "websocket.connect"})
        task = self.loop.create_task(self.run_asgi())
        task.add_done_callback(self.on_task_complete)
        self.tasks.add(task)

    async def send(self, message: Any) -> None:
        handshake, self._handshake = self._handshake, None
        if handshake is None or message["type"] != "websocket.accept":
            await super().send(message)
        elif not self.transport.is_closing():
            self._accept(handshake, message)

    def _accept(self, handshake: Handshake, message: Mapping[str, Any]) -> None:
        """Do what `send` does to accept."""
        if self.logger.isEnabledFor(logging.INFO):
            target = handshake.target.decode()
            self.logger.info('%s - "WebSocket %s" [accepted]', _shown(self.client), target)
        headers = [*self.default_headers, *message.get("headers", ())]
        if subprotocol := message.get("subprotocol"):
            headers.append((b"Sec-WebSocket-Protocol", subprotocol.encode()))
        self.handshake_complete = True
        self.transport.write(acceptance(handshake, headers))
        self.start_keepalive()

    def _refuse_unread(self) -> None:
        """Say what is wrong with a request that could not be read; uvicorn would let it hang."""
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.transport.close()

    # Frames

    def data_received(self, data: bytes) -> None:
        if self._direct is not None:
            self._direct.data_received(data)
        elif (
            self._own_way
            and not self.handshake_initiated
            and (handshake := read_handshake(data)) is not None
        ):
            self._begin(handshake)
        else:
            super().data_received(data)
            if self.conn.handshake_exc is not None and not self.handshake_initiated:
                self._refuse_unread()

    def parse(self, frame: bytes) -> None:
        """Have uvicorn's complete parser take a frame, and do what follows from it."""
        super().data_received(frame)

    def send_receive_event_to_app(self) -> None:
        super().send_receive_event_to_app()
        if self._direct is not None and self._direct.listener is not None:
            self.keep_reading()  # nobody calls `receive`, which would do it

    def forget_handshake(self) -> None:
        """Free what only the handshake needed: a seventh of what an idle connection takes."""
        for name in ("request", "response"):
            self.__dict__.pop(name, None)

    def keep_reading(self) -> None:
        """Undo uvicorn's pause after each message, where the app has not paused."""
        if self.read_paused and self._direct is not None and not self._direct.paused:
            self.transport.resume_reading()
        self.read_paused = False


class _Direct(asyncio.Protocol):
    """The extension offered to the app: see `lbproto.asgi.direct.Direct`.

    Once somebody listens it is what the transport calls, so that a message costs no call more.
    """

    __slots__ = ("_parts", "_protocol", "_splitter", "buffered", "listener", "paused", "write")

    def __init__(self, protocol: WebSocketProtocol) -> None:
        self._protocol = protocol
        self._splitter = FrameSplitter(protocol.config.ws_max_size)
        self._parts: Iterator[tuple[int, bytes]] | None = None  # of what is read and not told yet
        self.paused = False
        self.write = protocol.transport.write
        self.buffered = protocol.transport.get_write_buffer_size
        self.listener: Listener | None = None

    def listen(self, listener: Listener) -> None:
        self.listener = listener
        protocol = self._protocol
        protocol.transport.set_protocol(self)
        waiting, told = protocol.queue, _Told(listener)
        protocol.queue = cast(Any, told)
        while not waiting.empty():
            told.put_nowait(waiting.get_nowait())
        protocol.forget_handshake()
        protocol.keep_reading()

    def pause_reading(self) -> None:
        self.paused = True
        if not self._protocol.transport.is_closing():
            self._protocol.transport.pause_reading()

    def resume_reading(self) -> None:
        self.paused = False
        self._tell()
        if not self.paused and not self._protocol.transport.is_closing():
            self._protocol.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._protocol.connection_lost(exc)

    def eof_received(self) -> None:
        self._protocol.eof_received()

    def pause_writing(self) -> None:
        self._protocol.pause_writing()
        if self.listener is not None:
            self.listener.paused()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()
        if self.listener is not None:
            self.listener.resumed()

    def data_received(self, data: bytes) -> None:
        parts, listener = self._parts, self.listener
        if (
            listener is not None
            and parts is None
            and not self.paused
            and (payload := self._splitter.whole_text(data)) is not None
            and not self._protocol.close_sent
        ):
            if (message := _message(TEXT, payload)) is None:
                self._protocol.parse(data)  # refuses it, and says so
            else:
                listener.message(message)
            return
        new = self._splitter.split(data)
        self._parts = new if parts is None else chain(parts, new)
        if not self.paused:
            self._tell()

    def _tell(self) -> None:
        """Hand over what has been read, until the listener has enough."""
        for opcode, payload in self._parts or ():
            if opcode == COMPLETE:
                self._protocol.parse(payload)
            else:
                self._take(opcode, payload)
            if self.paused:
                return
        self._parts = None

    def _take(self, opcode: int, payload: bytes) -> None:
        protocol, listener = self._protocol, self.listener
        if listener is None or protocol.close_sent:
            protocol.parse(frame_again(opcode, payload))
        elif (message := _message(opcode, payload)) is None:
            protocol.parse(frame_again(opcode, payload))  # refuses it, and says so
        else:
            listener.message(message)


def _shown(client: tuple[str, int] | None) -> str:
    return "" if client is None else f"{client[0]}:{client[1]}"


def _message(opcode: int, payload: bytes) -> Message | None:
    """What the payload says; None where a text is not UTF-8."""
    try:
        return payload.decode() if opcode == TEXT else payload
    except UnicodeDecodeError:
        return None


class _Told:
    """Takes the place of uvicorn's queue of events: nobody waits for them, the listener is told."""

    __slots__ = ("_listener", "_over")

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._over = False

    def put_nowait(self, item: Mapping[str, Any]) -> None:
        if self._over:
            return
        if item["type"] == "websocket.disconnect":
            self._over = True
            self._listener.closed(item["code"])
        elif item["type"] == "websocket.receive":
            message = item.get("text")
            self._listener.message(item["bytes"] if message is None else message)
