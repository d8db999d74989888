"""The module: payloads, maps of events, the contract as a constant, and the client on top."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import msgspec

from lbproto.contract.model import Contract, Emitted, Request
from lbproto.contract.prose import emitted_prose, request_prose, windows_of
from lbproto.contract.typescript.types import (
    CLIENT,
    comment,
    declaration,
    identifier,
    property_name,
)

__all__ = ["typescript"]


def typescript(contract: Contract) -> str:
    """One module, to be written to a file of a project that has `socket.io-client`.

    It needs nothing else, and is compiled by `tsc --strict`; types can be stripped from it.
    """
    return "\n".join([*_lines(contract), CLIENT])


def _lines(contract: Contract) -> Iterator[str]:
    yield f"// {_one_line(contract.title)} {_one_line(contract.version)}"
    yield f"// Written by lbproto {version('lbproto')} (`lbproto schema`): do not edit."
    yield ""
    yield 'import type { Socket } from "socket.io-client";'
    for name, schema in contract.schemas.items():
        yield ""
        yield from declaration(name, schema)
    yield ""
    yield from comment(
        [
            "What the server sends. Behind the payload comes how far the client has got.",
            "A client that is too slow is disconnected, and resumes, where nothing else is said.",
        ]
    )
    yield "export interface ServerToClientEvents {"
    for event in contract.events:
        yield from _sent(event, contract)
    yield "}"
    yield ""
    yield from comment(["What a client sends, with or without asking for an acknowledgement."])
    yield "export interface ClientToServerEvents {"
    for request in contract.requests:
        yield from _asked(request, contract)
    yield "}"
    yield ""
    yield from comment(["What each request carries."])
    yield "export interface RequestPayloads {"
    for request in contract.requests:
        yield f"  {property_name(request.event)}: {identifier(request.schema)};"
    yield "}"
    yield ""
    yield from comment(["The rooms there are."])
    yield f"export type RoomName = {_room_names(contract)};"
    yield ""
    limits = "\n".join(windows_of(contract.limits))
    yield from comment(["The contract beside its payloads.", limits])
    yield f"export const contract = {_constant(contract)} as const;"
    yield ""


def _sent(event: Emitted, contract: Contract) -> Iterator[str]:
    about = contract.schemas[event.schema].get("description", "")
    yield from comment([about, "\n".join(emitted_prose(event))], "  ")
    payload = identifier(event.schema)
    yield f"  {property_name(event.event)}: (data: {payload}, offset?: string) => void;"


def _asked(request: Request, contract: Contract) -> Iterator[str]:
    schema = contract.schemas[request.schema]
    yield from comment([schema.get("description", ""), "\n".join(request_prose(request))], "  ")
    name = property_name(request.event)
    yield f"  {name}: (...asked: Asking<{json.dumps(request.event)}>) => void;"


def _room_names(contract: Contract) -> str:
    """Template literal types: a placeholder is any text there."""
    names = []
    for room in contract.rooms:
        literals = [
            part.replace("\\", "\\\\").replace("`", "\\`").replace("$", "\\$")
            for part in room.literals
        ]
        names.append("`" + "${string}".join(literals) + "`")
    return " | ".join(names) or "never"


def _constant(contract: Contract) -> str:
    value: dict[str, Any] = {
        "title": contract.title,
        "version": contract.version,
        "requests": {each.event: _request(each) for each in contract.requests},
        "events": {
            each.event: {"plugin": each.plugin, "overflow": each.overflow, "error": each.error}
            for each in contract.events
        },
        "rooms": [
            {
                "pattern": each.pattern,
                "plugin": each.plugin,
                "first": each.first,
                "refused": each.refused,
                "announces": each.announces,
                "automatic": each.automatic,
            }
            for each in contract.rooms
        ],
        "codes": msgspec.to_builtins(contract.codes),
        "limits": msgspec.to_builtins(contract.limits),
    }
    return json.dumps(value, indent=2, ensure_ascii=False)


def _request(request: Request) -> dict[str, Any]:
    """All of it, also what is as by default: programs look at it."""
    told = {
        "plugin": request.plugin,
        "answers": request.answers,
        "refused": request.refused,
        "price": request.price,
        "weight": request.weight,
        "counted": request.counted,
        "repeatable": request.repeatable,
        "timeout": request.timeout,
    }
    return told if request.job is None else {**told, "job": msgspec.to_builtins(request.job)}


def _one_line(text: str) -> str:
    return " ".join(text.split())
