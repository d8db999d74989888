"""A server whose every text is a script that wants to run: in its contract, its state, its events.

It speaks the plain protocol to the console of `lbproto demo`: whatever it is asked, it sends every
event of the contract, with an attack in each field that takes a text, and in each key that is free.
"""

from __future__ import annotations

import json
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from lbproto.cli.demo import Replay, demo_server
from lbproto.console import ConsoleApp
from lbproto.contract import asyncapi, describe

ATTACK = (
    "<img src=x onerror=\"window.marker='img';alert(1)\">"
    "<script>window.marker='script'</script>javascript:window.marker='link'"
    "'\"><svg onload=\"window.marker='svg'\"></svg>{{7*7}}${7*7}"
)

server = demo_server(Replay())
contract: dict[str, Any] = json.loads(json.dumps(asyncapi(describe(server))))
_schemas = contract["components"]["schemas"]
_events = {
    told["event"]: _schemas[told["schema"]]
    for operation in contract["operations"].values()
    if operation["action"] == "send" and (told := operation["x-lbproto"])
}


def attack(schema: dict[str, Any], depth: int = 0) -> Any:
    """A value of that schema, with every text an attack."""
    if "$ref" in schema:
        schema = _schemas[schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        return attack(schema["anyOf"][0], depth)
    match schema.get("type"):
        case "integer" | "number":
            return 7
        case "boolean":
            return True
        case "array":
            return [attack(schema.get("items", {}), depth + 1)] * 2
        case "object" if "properties" in schema:
            return {name: attack(each, depth + 1) for name, each in schema["properties"].items()}
        case "object":
            return {ATTACK: ATTACK}
        case "string":
            return ATTACK
    return {ATTACK: ATTACK, "name": ATTACK} if "enum" not in schema and depth < 4 else ATTACK


def _poison(value: Any) -> Any:
    """The contract, with attacks where it speaks to people."""
    if isinstance(value, list):
        return [_poison(each) for each in value]
    if not isinstance(value, dict):
        return value
    spoken = {"title", "description", "summary", "default", "example", "pattern"}
    return {
        key: ATTACK if key in spoken and isinstance(each, str) else _poison(each)
        for key, each in value.items()
    }


async def _contract(_request: Request) -> Response:
    return JSONResponse(_poison(contract))


async def _state(_request: Request) -> Response:
    outboxes = {"queuedFrames": 1, "queuedBytes": 1, "dropped": 0, "conflated": 0}
    session = {"sid": ATTACK, "userId": ATTACK, "away": False, "rooms": 1, "outbox": outboxes}
    room = {"room": ATTACK, "sessions": 1, "away": 0, "keptEvents": 0}
    numbers = {"outboxes": outboxes, "deliveries": 1, "connections": ATTACK}
    return JSONResponse({"statistics": numbers, "sessions": [session], "rooms": [room]})


async def _plain(websocket: WebSocket) -> None:
    await websocket.accept(subprotocol="lbproto.v1.json")
    try:
        while True:
            asked = json.loads(await websocket.receive_text())
            answers = {"re": asked["id"]} if "id" in asked else {}
            for event, schema in _events.items():
                frame = {"event": event, "data": attack(schema), **answers}
                await websocket.send_text(json.dumps(frame))
    except WebSocketDisconnect:
        pass


async def _may(_request: Request) -> bool:
    return True


console = ConsoleApp(server, token=ATTACK, may_watch=_may)
app = Starlette(
    routes=[
        Route("/console/asyncapi.json", _contract),
        Route("/console/state.json", _state),
        Mount("/console", console),
        WebSocketRoute("/ws", _plain),
    ],
)
