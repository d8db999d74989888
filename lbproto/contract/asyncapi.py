"""A contract as an AsyncAPI 3.0 document; what AsyncAPI has no word for is under `x-lbproto`.

The document describes the server: it *receives* requests and *sends* events. There is one channel
for everything on a connection, and one for each family of rooms. A payload is what an event
carries; its frame is the wire's: `["name", payload]` over Socket.IO, `{"event", "data"}` over plain
WebSocket.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from lbproto.contract.addresses import PLAIN_BINDING, SECURITY, servers
from lbproto.contract.dialect import draft_07
from lbproto.contract.keys import keys
from lbproto.contract.model import Contract, Emitted, Lifecycle, Request, Room
from lbproto.contract.prose import emitted_prose, request_prose, windows_of
from lbproto.messages import (
    CreditsInsufficient,
    Error,
    RateLimitError,
    UserJoinedRoom,
    UserLeftRoom,
    ValidationError,
)

__all__ = ["EXTENSION", "FORMAT", "Document", "asyncapi"]

EXTENSION = "x-lbproto"
FORMAT = 1
"""Of what is under it."""

Document = dict[str, Any]

_SESSION = "session"
_ACK = "acknowledgement"
_GENERAL = tuple(event.event_name for event in (RateLimitError, ValidationError, Error))
_ANNOUNCED = tuple(event.event_name for event in (UserJoinedRoom, UserLeftRoom))


def asyncapi(
    contract: Contract,
    *,
    url: str | None = None,
    socketio_path: str = "/socket.io/",
    websocket_path: str | None = "/ws",
) -> Document:
    """The document, as plain values.

    Args:
        contract: what is described.
        url: where the server is, such as `wss://example.com`: it does not know that itself. Without
            one the document has no `servers`.
        socketio_path, websocket_path: as they were given to `Server.asgi`.

    Raises:
        UsageError: that is not a URL of a server.
    """
    writer = _Writer(contract)
    wires = None if url is None else servers(url, socketio_path, websocket_path)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": contract.title,
            "version": contract.version,
            "description": "\n".join(["Limits:", "", *_listed(windows_of(contract.limits))])
            if contract.limits.tiers
            else "There are no limits on how much is asked for.",
        },
        "defaultContentType": "application/json",
        **({} if wires is None else {"servers": wires}),
        "channels": writer.channels(),
        "operations": writer.operations(),
        "components": {
            "messages": writer.messages(),
            "schemas": {name: draft_07(schema) for name, schema in contract.schemas.items()},
            "securitySchemes": {"token": SECURITY},
        },
        EXTENSION: {
            "format": FORMAT,
            "codes": msgspec.to_builtins(contract.codes),
            "limits": msgspec.to_builtins(contract.limits),
        },
    }


class _Writer:
    """Writes the parts of one document."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._requests = keys((each.event for each in contract.requests), "request.")
        self._events = keys((each.event for each in contract.events), "event.")
        self._received = keys((each.event for each in contract.requests), "receive.")
        self._sent = keys((each.event for each in contract.events), "send.")
        self._rooms = keys((each.pattern for each in contract.rooms), "room.")

    def channels(self) -> Document:
        """One of the connection, and one of each family of rooms."""
        messages = [*self._requests.values(), *self._events.values(), _ACK]
        session = {
            "address": "/",
            "title": "A connection",
            "description": "Requests, their answers, and what is pushed, in order, on one session.",
            "messages": _references(messages),
            "bindings": {"ws": PLAIN_BINDING},
        }
        rooms = {self._rooms[room.pattern]: self._room(room) for room in self._contract.rooms}
        return {_SESSION: session, **rooms}

    def operations(self) -> Document:
        """One of each request, and one of each event that is sent."""
        requests, events = self._contract.requests, self._contract.events
        return {
            **{self._received[each.event]: self._receive(each) for each in requests},
            **{self._sent[each.event]: self._send(each) for each in events},
        }

    def messages(self) -> Document:
        """What is received and sent."""
        requests, jobs = self._contract.requests, self._jobs()
        messages: Document = {
            self._requests[each.event]: self._message(each.event, each.schema) for each in requests
        }
        for event in self._contract.events:
            message = self._message(event.event, event.schema)
            located = self._correlation(event.schema, jobs.get(event.event))
            messages[self._events[event.event]] = {**message, **located}
        messages[_ACK] = {
            "name": _ACK,
            "title": "Acknowledgement",
            "summary": "What became of a request, where its client has asked for that.",
            "payload": _acknowledgement(sorted(self._contract.codes)),
        }
        return messages

    def _room(self, room: Room) -> Document:
        names = [*room.first, *(_ANNOUNCED if room.announces else ())]
        automatic = " Each new session joins by itself." if room.automatic else ""
        channel = {
            "address": None,
            "title": f"The rooms {room.pattern}",
            "description": "Messages that come to every member; what else is published to the room "
            f"is its plugin's. `subscribe` lets a session in, `{room.refused}` refuses it."
            + automatic,
            "messages": _references([self._events[name] for name in names]),
            EXTENSION: msgspec.to_builtins(room),
        }
        if re.search(r"[?#]", room.pattern):  # an address may have neither
            return channel
        first, *literals = room.literals
        placed = zip(room.placeholders, literals, strict=True)
        address = first + "".join(f"{{{name}}}{literal}" for name, literal in placed)
        parameters = {
            name: {"description": "At least a character" + ("." if any_ else ', none a ":".')}
            for name, any_ in room.placeholders.items()
        }
        return {**channel, "address": address, "parameters": parameters}

    def _receive(self, request: Request) -> Document:
        job = request.job
        answers = [*request.answers, *(() if job is None else job.stages.values())]
        refusals = [request.refused, *_GENERAL]
        if request.price is not None:
            refusals.append(CreditsInsufficient.event_name)
        replies = [self._events[name] for name in dict.fromkeys([*answers, *refusals])]
        return {
            "action": "receive",
            **self._operation(request.event, request.schema, request.plugin),
            "description": "\n\n".join(request_prose(request)),
            "messages": _in_session(self._requests[request.event]),
            "reply": {
                "channel": {"$ref": f"#/channels/{_SESSION}"},
                "messages": _in_session(*replies, _ACK),
            },
            EXTENSION: msgspec.to_builtins(request),
        }

    def _send(self, event: Emitted) -> Document:
        return {
            "action": "send",
            **self._operation(event.event, event.schema, event.plugin),
            **({"description": "\n\n".join(told)} if (told := emitted_prose(event)) else {}),
            "messages": _in_session(self._events[event.event]),
            EXTENSION: msgspec.to_builtins(event),
        }

    def _operation(self, name: str, schema: str, plugin: str) -> Document:
        return {
            "channel": {"$ref": f"#/channels/{_SESSION}"},
            "title": name,
            "summary": self._summary(schema),
            "tags": [{"name": plugin}],
        }

    def _message(self, name: str, schema: str) -> Document:
        return {
            "name": name,
            "title": name,
            "summary": self._summary(schema),
            "payload": {"$ref": f"#/components/schemas/{schema}"},
        }

    def _summary(self, schema: str) -> str:
        described: str = self._contract.schemas[schema].get("description", "")
        return described.partition("\n")[0]

    def _jobs(self) -> dict[str, Lifecycle]:
        """The job that each event of one tells of."""
        jobs = [request.job for request in self._contract.requests if request.job is not None]
        return {event: job for job in jobs for event in job.stages.values()}

    def _correlation(self, schema: str, job: Lifecycle | None) -> Document:
        """Where an event says which job it tells of."""
        fields = self._contract.schemas[schema].get("properties", {})
        for field in () if job is None else (job.id, job.group):
            if field in fields:
                location = f"$message.payload#/{field}"
                return {"correlationId": {"description": "Names the job.", "location": location}}
        return {}


def _references(messages: list[str]) -> Document:
    return {name: {"$ref": f"#/components/messages/{name}"} for name in messages}


def _in_session(*messages: str) -> list[Document]:
    return [{"$ref": f"#/channels/{_SESSION}/messages/{name}"} for name in messages]


def _listed(lines: list[str]) -> list[str]:
    return [f"- {line}" for line in lines]


def _acknowledgement(codes: list[str]) -> Document:
    envelope = {
        "type": "object",
        "properties": {
            "code": {"enum": codes},
            "message": {"type": "string"},
            "retryAfter": {"type": "integer", "description": "Whole seconds."},
        },
        "required": ["code", "message"],
    }
    served = {
        "type": "object",
        "properties": {
            "ok": {"const": True},
            "event": {"type": "string", "description": "The first event that answers."},
            "data": {"description": "Its payload."},
        },
        "required": ["ok"],
    }
    refused = {
        "type": "object",
        "properties": {"ok": {"const": False}, "error": envelope},
        "required": ["ok", "error"],
    }
    return {"oneOf": [served, refused]}
