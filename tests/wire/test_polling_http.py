"""Engine.IO's endpoint over HTTP: handshakes, polls and POSTs, and what is refused, and how."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

import msgspec
import pytest
from anyio.abc import TaskGroup

from lbproto.asgi.plain import PlainEndpoint
from lbproto.connection.runtime import Runtime
from lbproto.errors import UsageError
from lbproto.scheduling.tasks import background_tasks
from lbproto.testing import VirtualClock, settle
from lbproto.wire import Settings
from tests.wire.asgi import Call, get, post, sid_of, websocket
from tests.wire.kit import Program, engine_edge, running

pytestmark = pytest.mark.anyio


class Edge:
    """An endpoint, its program, and one session on it."""

    def __init__(self, runtime: Runtime, tasks: TaskGroup, origins: tuple[str, ...] = ("*",)):
        self.runtime = runtime
        self.program = Program()
        self.app = engine_edge(runtime, self.program, origins)
        self.sid = ""
        self._tasks = tasks

    async def open(self) -> Edge:
        handshake = await self.get()
        self.sid = sid_of(handshake.text)
        await self.post(b"40")
        assert (await self.poll()).text.endswith('42["welcome"]')
        return self

    async def get(self, query: str = "EIO=4&transport=polling", **more: object) -> Call:
        return await get(self.app, self._tasks, query, **more)  # type: ignore[arg-type]

    async def poll(self) -> Call:
        return await self.get(f"EIO=4&transport=polling&sid={self.sid}")

    async def post(self, *chunks: bytes, headers: dict[str, str] | None = None) -> Call:
        return await post(self.app, self._tasks, self.sid, *chunks, headers=headers)

    async def is_over(self) -> bool:
        """Whether the session has ended, for the client and for the server."""
        if self.runtime.engines:
            return False
        assert not self.runtime.connections
        assert (await self.poll()).answer == (400, '{"code":1,"message":"Session ID unknown"}')
        return True


# Handshakes

REFUSED: dict[str, tuple[str, str, int, int]] = {
    "no version": ("GET", "transport=polling", 400, 5),
    "version 3": ("GET", "EIO=3&transport=polling", 400, 5),
    "version abc": ("GET", "EIO=abc&transport=polling", 400, 5),
    "no transport": ("GET", "EIO=4", 400, 0),
    "another transport": ("GET", "EIO=4&transport=abc", 400, 0),
    "a websocket's transport": ("GET", "EIO=4&transport=websocket", 400, 0),
    "an unknown session": ("GET", "EIO=4&transport=polling&sid=nobody", 400, 1),
    "an empty session": ("GET", "EIO=4&transport=polling&sid=", 400, 1),
    "a handshake by POST": ("POST", "EIO=4&transport=polling", 400, 2),
    "a handshake by PUT": ("PUT", "EIO=4&transport=polling", 400, 2),
    "a handshake by HEAD": ("HEAD", "EIO=4&transport=polling", 400, 2),
    "invalid UTF-8 in the query": ("GET", "EIO=%ff&transport=polling", 400, 5),
}


@pytest.mark.parametrize(("method", "query", "status", "code"), REFUSED.values(), ids=REFUSED)
async def test_what_is_no_handshake_is_refused(
    method: str, query: str, status: int, code: int
) -> None:
    async with running() as runtime, background_tasks() as tasks:
        edge = Edge(runtime, tasks)
        call = await edge.get(query, method=method)
        assert call.status == status
        assert msgspec.json.decode(call.text)["code"] == code
        assert call.headers["content-type"] == "application/json"
        assert not runtime.connections


async def test_a_session_is_asked_for_by_get_and_post_only() -> None:
    async with running() as runtime, background_tasks() as tasks:
        edge = await Edge(runtime, tasks).open()
        call = await edge.get(f"EIO=4&transport=polling&sid={edge.sid}", method="DELETE")
        assert call.answer == (400, '{"code":2,"message":"Bad handshake method"}')
        assert not await edge.is_over()


async def test_a_server_that_stops_takes_no_new_sessions() -> None:
    async with running() as runtime, background_tasks() as tasks:
        edge = Edge(runtime, tasks)
        runtime.accepting = False
        call = await edge.get()
        assert call.status == 503
        for app in (edge.app, PlainEndpoint(runtime, edge.program, ("*",))):
            refused = await websocket(app, tasks, extensions={"websocket.http.response": {}})
            assert refused.sent[0]["status"] == 503
            assert refused.done


async def test_where_nobody_may_poll_that_is_told_and_websockets_are_taken() -> None:
    async with running(Settings(polling=False)) as runtime, background_tasks() as tasks:
        edge = Edge(runtime, tasks)
        call = await edge.get()
        assert call.status == 400
        assert msgspec.json.decode(call.text) == {
            "code": 0,
            "message": 'This server takes websockets only: set transports: ["websocket"]',
        }
        assert not runtime.connections
        await websocket(edge.app, tasks)
        assert len(runtime.connections) == 1


@pytest.mark.parametrize("app", ["engine", "plain"])
async def test_a_server_that_does_not_run_says_how_to_mend_it(app: str) -> None:
    runtime = Runtime(Settings(), VirtualClock())
    edge = engine_edge(runtime, Program())
    async with background_tasks() as tasks:
        calls: list[Call] = [
            await websocket(
                edge if app == "engine" else PlainEndpoint(runtime, Program(), ("*",)), tasks
            )
        ]
        if app == "engine":
            calls.append(await get(edge, tasks))
        for call in calls:
            assert isinstance(call.error, UsageError)
            assert str(call.error) == (
                "this lbproto server is not running. A mounted app's lifespan is never run by its "
                "host: pass lifespan=server.lifespan to the host app, or serve "
                "server.asgi(fallback=host_app)"
            )
    with pytest.raises(UsageError, match="not running"):
        runtime.start_soon(settle)


async def test_a_server_runs_once_at_a_time() -> None:
    async with running() as runtime:
        again: AbstractAsyncContextManager[None] = runtime.run()
        with pytest.raises(UsageError, match="runs already"):
            await again.__aenter__()
    async with runtime.run():
        runtime.check_running()


# Polls


async def test_a_poll_waits_for_what_comes() -> None:
    async with running() as runtime, background_tasks() as tasks:
        edge = await Edge(runtime, tasks).open()
        poll = await edge.poll()
        assert not poll.done
        edge.program.sockets["/"].emit("n", 1)
        edge.program.sockets["/"].emit("n", b"\x01\x02")
        await settle()
        assert poll.answer == (
            200,
            '42["n",1]\x1e451-["n",{"_placeholder":true,"num":0}]\x1ebAQI=',
        )
        assert poll.headers["cache-control"] == "no-store"
        assert poll.headers["content-type"].startswith("text/plain")


async def test_two_polls_at_a_time_end_the_session() -> None:
    async with running() as runtime, background_tasks() as tasks:
        edge = await Edge(runtime, tasks).open()
        first = await edge.poll()
        second = await edge.poll()
        assert first.answer == (200, "1")
        assert second.status == 400
        assert await edge.is_over()
        assert edge.program.log[-1] == ("closed", "/", "two polls at a time")


async def test_a_poll_that_is_given_up_ends_the_session() -> None:
    async with running() as runtime, background_tasks() as tasks:
        edge = await Edge(runtime, tasks).open()
        poll = await edge.poll()
        await poll.abort()
        assert poll.done
        assert await edge.is_over()
        assert edge.program.log[-1] == ("closed", "/", "transport close")


async def test_the_close_packet_ends_the_session_and_its_poll() -> None:
    async with running() as runtime, background_tasks() as tasks:
        edge = await Edge(runtime, tasks).open()
        poll = await edge.poll()
        assert (await edge.post(b"1")).answer == (200, "ok")
        assert poll.answer == (200, "6")
        assert await edge.is_over()
        assert edge.program.log[-1] == ("closed", "/", "transport close")


async def test_what_is_behind_a_close_packet_is_not_handled() -> None:
    async with running() as runtime, background_tasks() as tasks:
        edge = await Edge(runtime, tasks).open()
        assert (await edge.post(b'1\x1e42["echo"]\x1eabc')).answer == (200, "ok")
        assert ("echo", "/") not in edge.program.log


async def test_a_poll_is_answered_when_the_server_closes() -> None:
    async with running() as runtime, background_tasks() as tasks:
        edge = await Edge(runtime, tasks).open()
        poll = await edge.poll()
        await edge.post(b'42["close"]')
        assert poll.answer == (200, "1")
        assert await edge.is_over()


async def test_last_words_are_polled_before_the_close() -> None:
    async with running() as runtime, background_tasks() as tasks:
        edge = await Edge(runtime, tasks).open()
        await edge.post(b'42["echo",1]\x1e42["close"]')
        assert (await edge.poll()).answer == (200, '42["echo",1]')
        assert await edge.is_over()


async def test_nobody_is_left_waiting_when_the_server_stops() -> None:
    async with running() as runtime, background_tasks() as tasks:
        edge = await Edge(runtime, tasks).open()
        poll = await edge.poll()
        await runtime.drain(0)
        await settle()
        assert poll.answer == (200, "1")
        assert (await edge.get()).status == 503


# POSTs

BODY = '42["echo",1]\x1e451-["echo",{"_placeholder":true,"num":0}]\x1ebAQI=\x1e42["echo","é😀"]'
ANSWER = BODY


async def test_packets_of_one_body_are_handled_in_order() -> None:
    async with running() as runtime, background_tasks() as tasks:
        edge = await Edge(runtime, tasks).open()
        assert (await edge.post(BODY.encode())).answer == (200, "ok")
        assert (await edge.poll()).answer == (200, ANSWER)


async def test_a_body_may_come_in_any_chunks() -> None:
    body = BODY.encode()
    async with running() as runtime, background_tasks() as tasks:
        edge = await Edge(runtime, tasks).open()
        every_byte = [body[at : at + 1] for at in range(len(body))]
        cuts = [(body[:at], body[at:]) for at in range(0, len(body), 7)]
        for chunks in (every_byte, *cuts, (b"", body, b"")):
            assert (await edge.post(*chunks)).answer == (200, "ok")
            assert (await edge.poll()).answer == (200, ANSWER)


MALFORMED = {
    "invalid UTF-8": b"4\xff",
    "no base64": b"b!!!",
    "nothing": b"",
    "no packet": b"abc",
    "a malformed event": b"42{}",
    "a probe": b"2probe",
    "trailing separator": b'42["echo"]\x1e',
    "an attachment nobody announced": b"bAQI=",
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
async def test_a_malformed_body_ends_the_session(body: bytes) -> None:
    async with running() as runtime, background_tasks() as tasks:
        edge = await Edge(runtime, tasks).open()
        assert (await edge.post(body)).status == 400
        assert await edge.is_over()
        assert edge.program.sockets == {}


@pytest.mark.parametrize("chunk", [1, 64, 1_000])
async def test_a_body_that_is_too_large_ends_the_session(chunk: int) -> None:
    async with running(Settings(max_payload=1_000)) as runtime, background_tasks() as tasks:
        edge = await Edge(runtime, tasks).open()
        fits = b'42["echo","' + b"x" * (1_000 - 13) + b'"]'
        assert len(fits) == 1_000
        assert (await edge.post(fits)).answer == (200, "ok")
        await edge.poll()
        large = fits + b"\x1e" * chunk
        call = await edge.post(*(large[at : at + chunk] for at in range(0, len(large), chunk)))
        assert call.answer == (413, "a payload has at most 1000 bytes")
        assert await edge.is_over()


async def test_no_more_is_read_of_a_body_that_is_too_large() -> None:
    async with running(Settings(max_payload=1_000)) as runtime, background_tasks() as tasks:
        edge = await Edge(runtime, tasks).open()
        call = await edge.post(*[b"x" * 500] * 1_000)
        assert call.status == 413
        assert call.reads <= 4


async def test_text_counts_in_bytes_not_in_characters() -> None:
    async with running(Settings(max_payload=1_000)) as runtime, background_tasks() as tasks:
        edge = await Edge(runtime, tasks).open()
        assert (await edge.post(('42["echo","' + "é" * 600 + '"]').encode())).status == 413
        socket = await websocket(edge.app, tasks)
        await socket.say("40", '42["echo","' + "é" * 490 + '"]')
        assert socket.close_code is None
        await socket.say('42["echo","' + "é" * 600 + '"]')
        assert socket.close_code == 1009


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "x", "identity, gzip"])
async def test_a_compressed_body_is_refused(encoding: str) -> None:
    # It could decompress to anything; no client of Engine.IO sends one.
    async with running() as runtime, background_tasks() as tasks:
        edge = await Edge(runtime, tasks).open()
        call = await edge.post(b"42[]", headers={"content-encoding": encoding})
        assert call.answer == (415, "send the payload as it is, not compressed")
        assert not await edge.is_over()
        same = await edge.post(b'42["echo"]', headers={"content-encoding": "identity"})
        assert same.answer == (200, "ok")


async def test_a_client_that_leaves_in_the_middle_of_a_body_is_gone() -> None:
    async with running() as runtime, background_tasks() as tasks:
        edge = await Edge(runtime, tasks).open()
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/",
            "query_string": f"EIO=4&transport=polling&sid={edge.sid}".encode(),
            "headers": [],
        }
        call = Call(edge.app, scope)
        call.feed_nowait({"type": "http.request", "body": b"42", "more_body": True})
        await call.start(tasks)
        await call.abort()
        assert call.done
        assert call.error is None
        assert await edge.is_over()


async def test_a_post_is_answered_once_the_session_can_take_more() -> None:
    async with running(Settings(max_pending_requests=2)) as runtime, background_tasks() as tasks:
        edge = await Edge(runtime, tasks).open()
        first = await edge.post(b'42["slow",1]')
        assert first.answer == (200, "ok")
        second = await edge.post(b'42["echo",2]\x1e42["echo",3]')
        assert not second.done
        edge.program.release()
        await settle()
        assert second.answer == (200, "ok")
        assert (await edge.poll()).text == '42["slow",1]\x1e42["echo",2]\x1e42["echo",3]'


async def test_one_post_of_very_many_packets_is_taken_in_bounded_steps() -> None:
    async with running(Settings(max_pending_requests=8)) as runtime, background_tasks() as tasks:
        edge = await Edge(runtime, tasks).open()
        body = b'42["slow"]' + b'\x1e42["echo"]' * 500
        call = await edge.post(body)
        assert not call.done
        (connection,) = runtime.connections
        assert len(connection._inbox) <= 8
        edge.program.release()
        await settle()
        assert call.answer == (200, "ok")
        assert len([entry for entry in edge.program.log if entry[0] == "echo"]) == 500
