"""How a server is, for a page that looks once a second: numbers, rooms, sessions and queues."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from heapq import nlargest
from itertools import islice
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from lbproto.events import camel_case
from lbproto.server import Server
from lbproto.sessions.session import Session

__all__ = ["MayWatch", "StateApp"]

MayWatch = Callable[[Request], Awaitable[bool]]
"""Whether who asks may see what all users do. The page shows its token: `Authorization: Bearer`."""

_FRESH = 0.9  # seconds for which an answer serves all who ask: it goes over every connection
_LOOKED_AT = 2_000  # sessions, of which those with the longest queues are told
_MAX_SHOWN = 100  # sessions, and rooms


class StateApp:
    """Answers with the state of this node, to those who may see it, and to all others with 403.

    Args:
        server: runs elsewhere.
        may_watch: asked each time.
    """

    def __init__(self, server: Server, may_watch: MayWatch) -> None:
        self._server = server
        self._may_watch = may_watch
        self._body = b""
        self._taken = float("-inf")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = {"cache-control": "no-store"}
        if await self._may_watch(Request(scope)):
            response = Response(self._state(), headers=headers, media_type="application/json")
        else:
            response = Response("Forbidden", 403, headers=headers)
        await response(scope, receive, send)

    def _state(self) -> bytes:
        now = self._server.clock.monotonic()
        if now - self._taken >= _FRESH:
            self._body = msgspec.json.encode(_look(self._server))
            self._taken = now
        return self._body


def _look(server: Server) -> dict[str, Any]:
    """Sessions with the longest queues first, rooms with the most of these sessions first."""
    sessions = [
        (session, server.session_statistics(session))
        for session in islice(server.sessions.directory, _LOOKED_AT)
    ]
    rooms = Counter(room for session, _ in sessions for room in server.rooms(session))
    longest = nlargest(_MAX_SHOWN, sessions, key=lambda each: each[1].outbox.queued_bytes)
    return {
        "statistics": _camel(asdict(server.statistics())),
        "sessions": [
            {**_who(session), **_camel(asdict(statistics))} for session, statistics in longest
        ],
        "rooms": [
            {"room": room, **_camel(asdict(server.room_statistics(room)))}
            for room, _ in rooms.most_common(_MAX_SHOWN)
        ],
    }


def _who(session: Session) -> dict[str, str]:
    return {"sid": session.sid, "userId": session.user_id}


def _camel(values: dict[str, Any]) -> dict[str, Any]:
    """Keys as they are on the wire."""
    return {
        camel_case(key): _camel(value) if isinstance(value, dict) else value
        for key, value in values.items()
    }
