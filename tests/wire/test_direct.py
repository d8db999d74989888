"""A server's own way in and out of a websocket: pauses, what is read, and its end."""

from __future__ import annotations

import pytest

from lbproto.asgi.direct import EXTENSION, DirectTransport, Listener, open_websocket
from lbproto.frame import Message, frame_of, message_frame
from lbproto.scheduling.tasks import background_tasks
from lbproto.testing import settle
from lbproto.transport import CloseCode
from tests.wire.asgi import websocket
from tests.wire.kit import Program, engine_edge, running

pytestmark = [
    pytest.mark.anyio,
    # No other loop has a server that offers it.
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),
]


class MemoryDirect:
    """What a server offers, in memory.

    Attributes:
        written: what has been written.
        failure: raised by the next `write`.
    """

    def __init__(self, *unread: Message) -> None:
        self.written = b""
        self._reads = True
        self.failure: Exception | None = None
        self.peer: Listener
        self._unread = unread

    def write(self, data: bytes) -> None:
        if self.failure is not None:
            raise self.failure
        self.written += data

    def buffered(self) -> int:
        return len(self.written)

    def listen(self, listener: Listener) -> None:
        self.peer = listener
        for message in self._unread:
            listener.message(message)

    def pause_reading(self) -> None:
        self._reads = False

    def resume_reading(self) -> None:
        self._reads = True

    def reads(self) -> bool:
        return self._reads

    def take(self) -> bytes:
        taken, self.written = self.written, b""
        return taken


async def nothing() -> dict[str, object]:
    raise AssertionError("nobody receives by ASGI")


async def swallow(event: object) -> None:
    """An ASGI `send`."""


def opened(direct: MemoryDirect) -> DirectTransport:
    scope = {"extensions": {EXTENSION: direct}}
    transport = open_websocket(scope, nothing, swallow)
    assert isinstance(transport, DirectTransport)
    return transport


async def test_a_server_without_it_is_served_by_asgi() -> None:
    transport = open_websocket({}, nothing, swallow)
    assert not transport.ready
    with pytest.raises(RuntimeError, match="without waiting"):
        transport.write(b"x")


async def test_frames_are_written_as_they_are() -> None:
    first, second = MemoryDirect(), MemoryDirect()
    frame = frame_of(b"text", (b"attached",))
    for direct in (first, second):
        await opened(direct).send([frame])
        assert direct.take() == message_frame("text") + message_frame(b"attached")


async def test_a_slow_peer_is_waited_for() -> None:
    direct = MemoryDirect()
    transport = opened(direct)
    async with background_tasks() as tasks:
        direct.peer.paused()
        assert not transport.ready
        tasks.start_soon(transport.send, [frame_of(b"1"), frame_of(b"2")])
        await settle()
        assert direct.take() == b""
        direct.peer.resumed()
        await settle()
        assert direct.take() == message_frame("1") + message_frame("2")
        assert transport.ready


async def test_whoever_writes_is_told_when_it_is_ready_no_more() -> None:
    direct = MemoryDirect()
    transport = opened(direct)
    told: list[bool] = []
    transport.unready = lambda: told.append(transport.ready)
    direct.peer.paused()
    assert told == [False]
    direct.peer.resumed()
    assert told == [False]
    direct.peer.closed(1001)
    assert told == [False, False]


@pytest.mark.parametrize("lost", [True, False])
async def test_whoever_waits_for_a_slow_peer_learns_of_the_end(*, lost: bool) -> None:
    direct = MemoryDirect()
    transport = opened(direct)
    failures: list[str] = []

    async def send() -> None:
        with pytest.raises(OSError, match="closed") as caught:
            await transport.send([frame_of(b"1")])
        failures.append(str(caught.value))

    async with background_tasks() as tasks:
        direct.peer.paused()
        tasks.start_soon(send)
        await settle()
        if lost:
            transport.lost()
        else:
            await transport.close(CloseCode.SLOW_CONSUMER, "too slow")
        await settle()
        assert failures
        direct.peer.resumed()
        assert not transport.ready
        assert direct.take() == b""


async def test_a_peer_that_is_gone_before_the_server_says_so() -> None:
    direct = MemoryDirect()
    transport = opened(direct)
    direct.failure = RuntimeError("the handler is closed")
    with pytest.raises(OSError, match="closed"):
        await transport.send([frame_of(b"1")])


async def test_what_comes_is_received_in_order() -> None:
    direct = MemoryDirect("early")
    transport = opened(direct)
    direct.peer.message("text")
    direct.peer.message(b"bytes")
    direct.peer.closed(4000)
    assert [await transport.receive() for _ in range(4)] == [
        "early",
        "text",
        b"bytes",
        4000,
    ]


async def test_reading_pauses_while_nobody_receives() -> None:
    direct = MemoryDirect()
    transport = opened(direct)
    told = 0
    while direct.reads():
        direct.peer.message(str(told))
        told += 1
    assert told == 32
    assert await transport.receive() == "0"
    assert direct.reads()
    direct.peer.message("32")
    assert not direct.reads()
    assert [await transport.receive() for _ in range(told)] == list(map(str, range(1, told + 1)))
    assert direct.reads()


async def test_a_connection_by_it() -> None:
    async with running() as runtime, background_tasks() as tasks:
        program, direct = Program(), MemoryDirect()
        call = await websocket(engine_edge(runtime, program), tasks, extensions={EXTENSION: direct})
        assert direct.take().startswith(b"\x81k0{")  # the handshake, as a frame
        direct.peer.message("40")
        direct.peer.message('42["echo",1]')
        await settle()
        assert runtime.outbox_statistics().unsent_bytes == len(direct.written) > 0
        assert direct.take().endswith(message_frame('42["echo",1]'))
        direct.peer.closed(1000)
        await settle()
        assert program.log[-1] == ("closed", "/", "transport close")
        assert call.done


async def test_reading_goes_on_once_a_connection_takes_what_had_piled_up() -> None:
    async with running() as runtime, background_tasks() as tasks:
        direct = MemoryDirect("40", *('42["echo"]' for _ in range(40)))
        program = Program()
        await websocket(engine_edge(runtime, program), tasks, extensions={EXTENSION: direct})
        assert [entry[0] for entry in program.log].count("echo") == 40
        assert direct.reads()
        direct.peer.closed(1000)
        await settle()
