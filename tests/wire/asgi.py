"""ASGI calls driven by hand, where a test has to say what happens when."""

from __future__ import annotations

from collections import deque
from collections.abc import MutableMapping
from typing import Any

import anyio
import msgspec
from anyio.abc import TaskGroup

from lbproto.asgi.types import ASGIApp
from lbproto.frame import Message
from lbproto.testing import settle

__all__ = ["Call", "WebSocketCall", "get", "post", "websocket"]


class Call:
    """One call of an ASGI app.

    Attributes:
        sent: what the app has sent.
        done: whether it has returned.
        error: what it raised.
        failure: raised by the app's next `send`.
        receive_failure: raised by the app's next `receive`.
    """

    def __init__(self, app: ASGIApp, scope: dict[str, Any]) -> None:
        self.sent: list[MutableMapping[str, Any]] = []
        self.done = False
        self.error: Exception | None = None
        self.failure: Exception | None = None
        self.receive_failure: Exception | None = None
        self.reads = 0
        self._app = app
        self._scope = scope
        self._inbox: deque[MutableMapping[str, Any]] = deque()
        self._news = anyio.Event()
        self._task = anyio.CancelScope()

    async def cancel(self) -> None:
        """The server ends the app's task."""
        self._task.cancel()
        await settle()

    async def start(self, tasks: TaskGroup) -> None:
        """Run it, up to where it waits."""
        tasks.start_soon(self._run)
        await settle()

    async def _run(self) -> None:
        try:
            with self._task:
                await self._app(self._scope, self._receive, self._send)
        except Exception as error:  # noqa: BLE001 - whatever a server would be given
            self.error = error
        finally:
            self.done = True

    async def _receive(self) -> MutableMapping[str, Any]:
        while not self._inbox:
            if self.receive_failure is not None:
                raise self.receive_failure
            self._news = anyio.Event()
            await self._news.wait()
        self.reads += 1
        return self._inbox.popleft()

    async def _send(self, event: MutableMapping[str, Any]) -> None:
        if self.failure is not None:
            raise self.failure
        self.sent.append(event)

    def feed_nowait(self, *events: MutableMapping[str, Any]) -> None:
        """Give the app events to receive."""
        self._inbox.extend(events)
        self._news.set()

    def fail_receive(self, error: Exception) -> None:
        """Have `receive` raise from now on."""
        self.receive_failure = error
        self._news.set()

    async def feed(self, *events: MutableMapping[str, Any]) -> None:
        """The same, and let it take them."""
        self.feed_nowait(*events)
        await settle()

    @property
    def unread(self) -> int:
        """How many events it has not received yet."""
        return len(self._inbox)

    # HTTP

    async def abort(self) -> None:
        """The client goes away."""
        await self.feed({"type": "http.disconnect"})

    @property
    def status(self) -> int:
        """Of its response."""
        status: int = self.sent[0]["status"]
        return status

    @property
    def headers(self) -> dict[str, str]:
        """Of its response."""
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def text(self) -> str:
        """The body of its response."""
        return b"".join(event.get("body", b"") for event in self.sent[1:]).decode()

    @property
    def answer(self) -> tuple[int, str]:
        """Status and body."""
        return self.status, self.text


class WebSocketCall(Call):
    """A websocket."""

    async def say(self, *messages: Message) -> None:
        """Have the client send messages."""
        await self.feed(*map(_received, messages))

    def say_nowait(self, *messages: Message) -> None:
        """The same, without letting the app take them."""
        self.feed_nowait(*map(_received, messages))

    async def hang_up(self) -> None:
        """Have the client go away."""
        await self.feed({"type": "websocket.disconnect", "code": 1005})

    @property
    def accepted(self) -> bool:
        """Whether the app has accepted it."""
        return bool(self.sent) and self.sent[0]["type"] == "websocket.accept"

    @property
    def messages(self) -> list[Message]:
        """What the app has sent."""
        sent = [event for event in self.sent if event["type"] == "websocket.send"]
        return [event["text"] if "text" in event else event["bytes"] for event in sent]

    @property
    def close_code(self) -> int | None:
        """How the app has closed it."""
        codes = [event["code"] for event in self.sent if event["type"] == "websocket.close"]
        assert len(codes) <= 1, "closed more than once"
        return codes[0] if codes else None


def _received(message: Message) -> MutableMapping[str, Any]:
    kind, other = ("text", "bytes") if isinstance(message, str) else ("bytes", "text")
    return {"type": "websocket.receive", kind: message, other: None}


def _scope(
    kind: str, query: str, headers: dict[str, str] | None, path: str = "/socket.io/", **more: Any
) -> dict[str, Any]:
    return {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(k.lower().encode(), v.encode()) for k, v in (headers or {}).items()],
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 80),
        **more,
    }


async def get(
    app: ASGIApp,
    tasks: TaskGroup,
    query: str = "EIO=4&transport=polling",
    headers: dict[str, str] | None = None,
    method: str = "GET",
) -> Call:
    """An HTTP request without a body; it may still be waiting when this returns."""
    call = Call(app, _scope("http", query, headers, method=method))
    call.feed_nowait({"type": "http.request", "body": b"", "more_body": False})
    await call.start(tasks)
    return call


async def post(
    app: ASGIApp,
    tasks: TaskGroup,
    sid: str,
    *chunks: bytes,
    headers: dict[str, str] | None = None,
) -> Call:
    """A POST to a session, its body in chunks."""
    query = f"EIO=4&transport=polling&sid={sid}"
    call = Call(app, _scope("http", query, headers, method="POST"))
    for chunk in chunks:
        call.feed_nowait({"type": "http.request", "body": chunk, "more_body": True})
    call.feed_nowait({"type": "http.request", "body": b"", "more_body": False})
    await call.start(tasks)
    return call


async def websocket(
    app: ASGIApp,
    tasks: TaskGroup,
    query: str = "EIO=4&transport=websocket",
    *,
    headers: dict[str, str] | None = None,
    **more: Any,
) -> WebSocketCall:
    """A websocket, opened."""
    call = WebSocketCall(app, _scope("websocket", query, headers, **more))
    call.feed_nowait({"type": "websocket.connect"})
    await call.start(tasks)
    return call


def sid_of(handshake: Message) -> str:
    """The session id in an open packet."""
    assert isinstance(handshake, str)
    sid: str = msgspec.json.decode(handshake[1:])["sid"]
    return sid
