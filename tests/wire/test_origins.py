"""Browser origins: who may connect, preflights, and the headers of CORS."""

from __future__ import annotations

import pytest

from lbproto.asgi.engineio import EngineEndpoint
from lbproto.asgi.plain import PlainEndpoint
from lbproto.scheduling.tasks import background_tasks
from tests.wire.asgi import get, websocket
from tests.wire.kit import Program, engine_edge, running

pytestmark = pytest.mark.anyio

GOOD, EVIL = "https://good.example", "https://evil.example"


async def test_any_origin_may_connect_by_default() -> None:
    async with running() as runtime, background_tasks() as tasks:
        edge = engine_edge(runtime, Program())
        call = await get(edge, tasks, headers={"origin": EVIL})
        assert call.status == 200
        assert call.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in call.headers


async def test_a_preflight_is_answered() -> None:
    async with running() as runtime, background_tasks() as tasks:
        edge = engine_edge(runtime, Program())
        asked = {
            "origin": GOOD,
            "access-control-request-method": "POST",
            "access-control-request-headers": "content-type,x-own",
        }
        call = await get(edge, tasks, headers=asked, method="OPTIONS")
        assert call.status == 200
        assert call.headers["access-control-allow-origin"] == "*"
        assert {"GET", "POST"} <= set(call.headers["access-control-allow-methods"].split(", "))
        assert "x-own" in call.headers["access-control-allow-headers"]
        assert not runtime.connections


async def test_only_listed_origins_may_connect() -> None:
    async with running() as runtime, background_tasks() as tasks:
        edge = engine_edge(runtime, Program(), (GOOD,))
        good = await get(edge, tasks, headers={"origin": GOOD})
        assert good.status == 200
        assert good.headers["access-control-allow-origin"] == GOOD
        assert good.headers["access-control-allow-credentials"] == "true"
        assert "origin" in good.headers["vary"].lower()
        before = len(runtime.connections)
        evil = await get(edge, tasks, headers={"origin": EVIL})
        assert evil.answer == (403, '{"code":4,"message":"Forbidden"}')
        assert "access-control-allow-origin" not in evil.headers
        assert len(runtime.connections) == before
        none = await get(edge, tasks)  # no browser
        assert none.status == 200


async def test_a_preflight_from_a_foreign_origin_is_refused() -> None:
    async with running() as runtime, background_tasks() as tasks:
        edge = engine_edge(runtime, Program(), (GOOD,))
        asked = {"origin": EVIL, "access-control-request-method": "POST"}
        call = await get(edge, tasks, headers=asked, method="OPTIONS")
        assert call.status == 400
        assert "access-control-allow-origin" not in call.headers


@pytest.mark.parametrize("respond", [False, True], ids=["close", "http response"])
@pytest.mark.parametrize("kind", ["engine", "plain"])
async def test_a_websocket_from_a_foreign_origin_is_refused(kind: str, respond: bool) -> None:
    async with running() as runtime, background_tasks() as tasks:
        app: EngineEndpoint | PlainEndpoint = PlainEndpoint(runtime, Program(), (GOOD,))
        if kind == "engine":
            app = engine_edge(runtime, Program(), (GOOD,))
        extensions: dict[str, object] = {"websocket.http.response": {}} if respond else {}
        evil = await websocket(app, tasks, headers={"origin": EVIL}, extensions=extensions)
        assert not evil.accepted
        assert evil.done
        if respond:
            assert evil.sent[0]["status"] == 403
        else:
            assert evil.sent == [{"type": "websocket.close"}]
        assert not runtime.connections
        good = await websocket(app, tasks, headers={"origin": GOOD})
        assert good.accepted
