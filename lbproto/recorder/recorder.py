"""Which sessions are recorded, from when to when, and what is kept for those who ask."""

from __future__ import annotations

import logging
from collections import deque
from functools import partial
from pathlib import Path

from anyio import to_thread

from lbproto.context import Context
from lbproto.recorder.file import Recording, encode
from lbproto.recorder.reading import recording_of
from lbproto.recorder.tap import Tap
from lbproto.recorder.tape import Tape
from lbproto.server import Server
from lbproto.sessions.session import Session
from lbproto.wire.port import Socket

__all__ = ["Recorder"]

logger = logging.getLogger(__name__)

_BURST_SECONDS = 10.0  # seconds in which no more incidents are kept than are kept at all


class Recorder:
    """A flight recorder: the last frames of sessions, both ways, kept in memory.

    It is off until `start`, and what is not recorded costs nothing: a recorded session's socket is
    tapped, and no other. A recorded session is sent to by itself, which costs more in large rooms.
    What fields call secret (`lbproto.Secret`) is hidden in all that is given out, and so are the
    payloads of events that nobody declared, and what clients acknowledge with.

    Args:
        server: whose sessions; running or not yet. It has one recorder at most.
        max_frames: entries that are kept of each session.
        max_bytes: bytes that they take, about.
        max_sessions: how many are recorded at a time; others that would be are not.
        directory: where the recording of a request that fails by our fault is written, as
            `incident-<id>.jsonl`, readable by its owner only; None for nowhere.
        kept: recordings of incidents, and of sessions that are over, that are kept, each.
    """

    def __init__(
        self,
        server: Server,
        *,
        max_frames: int = 200,
        max_bytes: int = 262_144,
        max_sessions: int = 1_000,
        directory: Path | None = None,
        kept: int = 16,
    ) -> None:
        self._server = server
        self._max_frames = max_frames
        self._max_bytes = max_bytes
        self._max_sessions = max_sessions
        self._directory = directory
        self._everybody = False
        self._users: set[str] = set()
        self._taps: dict[Session, Tap] = {}
        self._over: deque[Tape] = deque(maxlen=kept)
        self._incidents: dict[str, Recording] = {}
        self._failures: deque[float] = deque(maxlen=kept)  # when there were any
        self._kept = kept
        server.sessions.opening = self._opening
        server.incidents.append(self._failed)

    # What is recorded

    def start(self, *, user_id: str | None = None, session: Session | None = None) -> None:
        """Record a session, a user's sessions now and later, or, with neither, everybody's."""
        if session is not None:
            self._tap_now(session)
            return
        if user_id is not None:
            self._users.add(user_id)
        else:
            self._everybody = True
        for each in self._server.sessions.directory:
            if self._wants(each):
                self._tap_now(each)

    def stop(self, *, user_id: str | None = None, session: Session | None = None) -> None:
        """Record no longer what `start` was told, and forget what was; with neither, nothing."""
        if session is not None:
            self._untap(session)
            return
        if user_id is not None:
            self._users.discard(user_id)
        else:
            self._everybody = False
            self._users.clear()
        for tape in list(self._over):
            if user_id in (None, tape.session.user_id):
                self._over.remove(tape)
        for each in list(self._taps):
            if user_id is None or (each.user_id == user_id and not self._wants(each)):
                self._untap(each)

    # What there is

    def sessions(self) -> list[Session]:
        """The sessions that are recorded now."""
        return list(self._taps)

    def session(self, sid: str) -> Session | None:
        """The session of that id, recorded or not; None where there is none on this node."""
        return self._server.sessions.directory.get(sid)

    def recordings(self, *, user_id: str | None = None, sid: str | None = None) -> list[Recording]:
        """What is kept of sessions, those that are over first.

        Args:
            user_id: of this user only.
            sid: of the session of this id only.
        """
        return [
            self._read(tape)
            for tape in (*self._over, *(tap.tape for tap in self._taps.values()))
            if user_id in (None, tape.session.user_id) and sid in (None, tape.session.sid)
        ]

    def incident(self, id_: str) -> Recording | None:
        """What was kept of the session whose request failed, until just after that."""
        return self._incidents.get(id_)

    def _read(self, tape: Tape, incident: tuple[str, str] = ("", "")) -> Recording:
        clock = self._server.clock
        return recording_of(tape, self._server.registry, (clock.now(), clock.monotonic()), incident)

    # Taps

    def _wants(self, session: Session) -> bool:
        return self._everybody or session.user_id in self._users

    def _opening(self, session: Session, socket: Socket) -> None:
        """A session has a connection: the first one, or another one."""
        tap = self._taps.get(session)
        if tap is None and self._wants(session):
            tap = self._begin(session)
        if tap is not None:
            tap.connected(socket)

    def _begin(self, session: Session) -> Tap | None:
        if len(self._taps) >= self._max_sessions or session.closed:
            return None
        rooms = [room for room in self._server.rooms(session) if room != session.personal_room]
        tape = Tape(session, rooms, self._max_frames, self._max_bytes)
        tap = self._taps[session] = Tap(tape, self._server, self._ended)
        return tap

    def _tap_now(self, session: Session) -> None:
        if session not in self._taps and (tap := self._begin(session)) is not None:
            tap.put(session.socket)

    def _untap(self, session: Session) -> None:
        tap = self._taps.pop(session, None)
        if tap is not None:
            tap.remove()

    def _ended(self, session: Session) -> None:
        if session in self._taps:
            self._over.append(self._taps.pop(session).tape)

    # Incidents

    def _failed(self, ctx: Context, incident: str) -> None:
        tap = self._taps.get(ctx.session)
        now = self._server.clock.monotonic()
        if len(self._failures) == self._kept and now - self._failures[0] < _BURST_SECONDS:
            return  # whoever makes a request fail again and again is not to keep us busy
        if tap is not None:  # a moment later, so that the answer is there too
            self._failures.append(now)
            keep = partial(self._keep, tap.tape, incident, ctx.inbound.shown_name)
            self._server.runtime.start_soon(keep)

    async def _keep(self, tape: Tape, incident: str, event: str) -> None:
        recording = self._incidents[incident] = self._read(tape, (incident, event))
        while len(self._incidents) > self._kept:
            del self._incidents[next(iter(self._incidents))]
        if self._directory is not None:
            file = self._directory / f"incident-{incident}.jsonl"
            try:
                await to_thread.run_sync(_write, file, encode(recording), self._kept)
            except OSError as error:
                logger.error("incident %s: its recording is not written: %s", incident, error)


def _write(file: Path, content: bytes, most: int) -> None:
    """Write a recording that only its owner reads, and remove the oldest beyond so many."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = file.with_suffix(".part")
    part.touch(mode=0o600, exist_ok=False)
    try:
        part.write_bytes(content)
        part.rename(file)  # whoever sees it sees all of it
    finally:
        part.unlink(missing_ok=True)
    for old in sorted(file.parent.glob("incident-*.jsonl"), key=_written)[:-most]:
        old.unlink(missing_ok=True)


def _written(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except FileNotFoundError:  # another process has removed it
        return 0.0
