"""Engine.IO over HTTP: GET is a poll, POST sends packets."""

from __future__ import annotations

from contextlib import aclosing

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from lbproto.connection.engineio import EngineConnection
from lbproto.scheduling.tasks import background_tasks
from lbproto.transport import CloseCode
from lbproto.wire.engineio import State, decode_payload
from lbproto.wire.settings import ProtocolError

__all__ = ["is_over", "poll", "post"]


async def poll(request: Request, connection: EngineConnection) -> Response:
    """Answer a poll as soon as there is something for it; a client that gives up is gone."""
    polls = connection.polls
    if polls is None or connection.closed:
        return _refusal("the session has left polling")
    if polls.waiting:
        connection.lost("two polls at a time")
        return _refusal("two polls at a time")

    async def watch() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        connection.lost("transport close")  # which ends the poll too

    async with background_tasks() as tasks:
        tasks.start_soon(watch)
        body = await polls.poll()
    return PlainTextResponse(body, headers={"cache-control": "no-store"})


async def post(request: Request, connection: EngineConnection) -> Response:
    """Take the packets of one request; answered once the session can take more."""
    if connection.polls is None or connection.closed:
        return _refusal("the session has left polling")
    if request.headers.get("content-encoding", "identity") != "identity":
        return PlainTextResponse("send the payload as it is, not compressed", 415)
    most = connection.runtime.settings.max_payload
    try:
        body = await _read(request, most)
    except ClientDisconnect:
        connection.lost("transport close")
        return _refusal("the client is gone")
    if body is None:
        connection.fail(CloseCode.TOO_BIG, "the payload is too large")
        return PlainTextResponse(f"a payload has at most {most} bytes", 413)
    try:
        packets = decode_payload(body)
    except ProtocolError as error:
        connection.fail(CloseCode.PROTOCOL_ERROR, str(error))
        return _refusal(str(error))
    for packet in packets:
        if not connection.receive(packet):
            return _refusal("malformed packet")
        if connection.congested:  # a body of many small packets does not get past the bound
            await connection.wait_ready()
    await connection.wait_ready()
    return PlainTextResponse("ok")


async def _read(request: Request, most: int) -> bytes | None:
    """The body, or None where it is larger than `most` bytes."""
    body = bytearray()
    async with aclosing(request.stream()) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) > most:
                return None
    return bytes(body)


def _refusal(reason: str) -> Response:
    return PlainTextResponse(reason, 400)


def is_over(connection: EngineConnection) -> bool:
    """Whether the session has ended, noticing a heartbeat that is overdue."""
    connection.expire()
    return connection.engine.state is State.CLOSED
