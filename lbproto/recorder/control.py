"""A recorder told from outside its process what to record: by a Unix socket.

One request a connection, a line of JSON: a `Request`. The answer is a line of JSON, a `Reply`, and
behind it, where recordings are asked for, these, each a line of JSON: its file's content.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Literal

import anyio
import msgspec
from anyio.abc import SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from lbproto.recorder.file import Recording, encode
from lbproto.recorder.recorder import Recorder
from lbproto.scheduling.tasks import background_tasks

__all__ = ["Recorded", "Reply", "Request", "ask", "control", "sockets"]

_MAX_REQUEST = 4_096  # bytes
_MAX_REPLY = 64 * 1024 * 1024
_TIMEOUT_SECONDS = 10.0  # that a request, or a reply, may take
_READ = 65_536


class Request(msgspec.Struct):
    """What is wanted.

    Attributes:
        do: "start" or "stop" recording; "list" who is recorded; "get" what there is.
        user: of this user only.
        session: of the session of this id only.
        incident: with "get", what was kept for this failure.
    """

    do: Literal["start", "stop", "list", "get"]
    user: str | None = None
    session: str | None = None
    incident: str | None = None


class Recorded(msgspec.Struct):
    """A session that is recorded."""

    session: str
    user: str


class Reply(msgspec.Struct):
    """What became of it.

    Attributes:
        error: why it was not done; "" where it was.
        sessions: those that are recorded now.
        recordings: how many follow.
    """

    error: str = ""
    sessions: list[Recorded] = msgspec.field(default_factory=list)
    recordings: int = 0


@asynccontextmanager
async def control(recorder: Recorder, path: Path) -> AsyncIterator[None]:
    """Serve requests while the body runs.

    Args:
        recorder: what they are about.
        path: of the socket, which only its owner may use; one that is left there is replaced.

    Raises:
        OSError: there can be none.
    """
    serving = _Control(recorder)
    listener = await anyio.create_unix_listener(path, mode=0o600)
    try:
        async with listener, background_tasks() as tasks:
            tasks.start_soon(listener.serve, serving.serve)
            yield
    finally:
        _remove(path)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


class _Control:
    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    async def serve(self, stream: SocketStream) -> None:
        """Answer one connection."""
        async with stream:
            with (
                anyio.move_on_after(_TIMEOUT_SECONDS),
                suppress(OSError, anyio.BrokenResourceError),
            ):
                try:
                    buffered = BufferedByteReceiveStream(stream)
                    line = await buffered.receive_until(b"\n", _MAX_REQUEST)
                    reply, recordings = self._do(msgspec.json.decode(line, type=Request))
                except (
                    msgspec.DecodeError,
                    UnicodeDecodeError,
                    anyio.DelimiterNotFound,
                ) as error:
                    reply, recordings = Reply(error=str(error)), []
                except (anyio.IncompleteRead, anyio.ClosedResourceError):
                    return
                await stream.send(msgspec.json.encode(reply) + b"\n")
                for recording in recordings:
                    await stream.send(msgspec.json.encode(encode(recording).decode()) + b"\n")

    def _do(self, request: Request) -> tuple[Reply, Sequence[Recording]]:
        recorder = self._recorder
        recordings: Sequence[Recording] = []
        if request.do == "get":
            if request.incident is not None:
                found = recorder.incident(request.incident)
                recordings = [] if found is None else [found]
            else:
                recordings = recorder.recordings(user_id=request.user, sid=request.session)
        elif request.do != "list":
            change = recorder.start if request.do == "start" else recorder.stop
            if request.session is None:
                change(user_id=request.user)
            elif (session := recorder.session(request.session)) is None:
                return Reply(error=f"there is no session {request.session!r} here"), []
            else:
                change(session=session)
        told = [Recorded(session.sid, session.user_id) for session in recorder.sessions()]
        return Reply(sessions=told, recordings=len(recordings)), recordings


def sockets(path: Path) -> list[Path]:
    """The sockets of a server's processes: that of one alone, or those of its workers."""
    return [each for each in (path, *path.parent.glob(f"{path.name}.*")) if each.is_socket()]


async def ask(path: Path, request: Request) -> tuple[Reply, list[bytes]]:
    """Have one process do something.

    Returns:
        Its reply, and the content of the recordings' files.

    Raises:
        OSError: nobody is there.
        ValueError: what it says cannot be read.
    """
    with anyio.fail_after(_TIMEOUT_SECONDS):
        async with await anyio.connect_unix(path) as stream:
            await stream.send(msgspec.json.encode(request) + b"\n")
            told = bytearray()
            with suppress(anyio.EndOfStream):
                while len(told) < _MAX_REPLY:
                    told += await stream.receive(_READ)
    first, *lines = bytes(told).splitlines() or [b""]
    files = [msgspec.json.decode(line, type=str).encode() for line in lines]
    return msgspec.json.decode(first, type=Reply), files
