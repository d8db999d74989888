"""A connection's send queue, bounded in bytes and count.

Pure and synchronous: a broadcast puts the same frame into many outboxes with no task, no await and
no copy for any of them. What does not fit is treated as the frame's overflow policy says, and
every loss is counted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from enum import IntEnum

from lbproto.frame import Frame
from lbproto.operations.statistics import OutboxStatistics
from lbproto.overflow import Overflow

__all__ = ["Outbox", "Pushed"]


class Pushed(IntEnum):
    """What became of a frame that was pushed: 0, the common case, is false."""

    QUEUED = 0
    CONFLATED = 1  # queued, in the place of an older frame of the same key
    DROPPED = 2
    AWAY = 3  # its client has lost the connection, and gets it when it resumes


class Outbox:
    """Frames on their way to one connection.

    Args:
        max_frames: the number of frames it holds.
        max_bytes: how many bytes it holds; a single larger frame is taken when it is empty.
        filled: called when the outbox stops being empty, once until the next `take`.
        overflowed: called once, when a frame that may not be lost has no room; the outbox is
            closed by then.

    Attributes:
        dropped: frames lost to a full outbox so far.
        dropped_oldest: of these, those that had to make room for newer ones.
        filled: whether something was queued since the last `take`.
        queued_bytes: of all queued frames.
        conflated: frames that a newer one of the same key has replaced so far.
    """

    __slots__ = (
        "_droppable",
        "_filled",
        "_frames",
        "_latest",
        "_max_bytes",
        "_max_frames",
        "_overflowed",
        "_vacant",
        "closed",
        "conflated",
        "dropped",
        "dropped_oldest",
        "filled",
        "queued_bytes",
    )

    def __init__(
        self,
        max_frames: int,
        max_bytes: int,
        filled: Callable[[], None],
        overflowed: Callable[[], None],
    ) -> None:
        self._max_frames = max_frames
        self._max_bytes = max_bytes
        self._filled = filled
        self._overflowed = overflowed
        self._frames: list[Frame | None] = []  # None: replaced or dropped since
        self._vacant = 0  # how many of them are None
        self.queued_bytes = 0
        self._latest: dict[Hashable, int] | None = None  # conflation key -> index in _frames
        self._droppable: deque[int] | None = None  # indices in _frames, oldest first
        self.filled = False
        self.closed = False
        self.dropped = self.dropped_oldest = 0
        self.conflated = 0

    def __len__(self) -> int:
        return len(self._frames) - self._vacant

    def statistics(self) -> OutboxStatistics:
        """How it is, and what became of what was pushed."""
        return OutboxStatistics(
            len(self),
            self.queued_bytes,
            self.dropped,
            self.conflated,
            dropped_oldest=self.dropped_oldest,
        )

    def push(self, frame: Frame) -> int:
        """Queue a frame.

        Returns:
            A `Pushed`; 0 for queued.
        """
        size = self.queued_bytes + len(frame.data)
        if (
            size > self._max_bytes
            or len(self._frames) >= self._max_frames
            or frame.overflow is not Overflow.DISCONNECT
            or self.closed
        ):
            return self._push_by_policy(frame)
        self.queued_bytes = size
        self._frames.append(frame)
        if not self.filled:
            self.filled = True
            self._filled()
        return 0

    def take(self) -> list[Frame]:
        """All queued frames in order; the outbox is empty after it."""
        frames = self._frames
        self.filled = False
        if not frames:
            return frames  # type: ignore[return-value]  # an empty list holds no None
        self._frames = []
        self.queued_bytes = 0
        if self._latest is None and self._droppable is None:
            return frames  # type: ignore[return-value]  # only those two leave a None behind
        self._latest = self._droppable = None
        self._vacant = 0
        return [frame for frame in frames if frame is not None]

    def close(self) -> None:
        """Refuse further frames and drop those queued."""
        self.closed = True
        self._frames = []
        self._vacant = self.queued_bytes = 0
        self._latest = self._droppable = None

    def _push_by_policy(self, frame: Frame) -> Pushed:
        if self.closed:
            self.dropped += 1
            return Pushed.DROPPED
        replaced = self._replace(frame)
        if not self._has_room(frame) and frame.overflow is Overflow.DROP_OLDEST:
            self._drop_oldest(frame)
            if not self._has_room(frame):
                self._count_oldest()
                return Pushed.DROPPED
        if not self._has_room(frame):
            self.dropped += len(self) + 1
            self.close()
            self._overflowed()
            return Pushed.DROPPED
        self._append(frame)
        return Pushed.CONFLATED if replaced else Pushed.QUEUED

    def _has_room(self, frame: Frame) -> bool:
        if len(self) == 0:
            return True
        return (
            len(self) < self._max_frames and self.queued_bytes + len(frame.data) <= self._max_bytes
        )

    def _replace(self, frame: Frame) -> bool:
        """Remove the queued frame that this one makes stale.

        The newer is queued at the end, not in the older's place: between the two there may be a
        frame that has to come first (a candle that closed before this one opened).
        """
        if frame.overflow is not Overflow.CONFLATE or frame.key is None or self._latest is None:
            return False
        index = self._latest.pop(frame.key, None)
        if index is None:
            return False
        self._vacate(index)
        self.conflated += 1
        return True

    def _drop_oldest(self, frame: Frame) -> None:
        while self._droppable and not self._has_room(frame):
            self._vacate(self._droppable.popleft())
            self._count_oldest()

    def _count_oldest(self) -> None:
        self.dropped += 1
        self.dropped_oldest += 1

    def _vacate(self, index: int) -> None:
        frame = self._frames[index]
        assert frame is not None  # noqa: S101 - an index is forgotten when its frame goes
        self._frames[index] = None
        self._vacant += 1
        self.queued_bytes -= len(frame.data)
        if self._vacant > self._max_frames:
            self._compact()

    def _compact(self) -> None:
        """Squeeze out what was replaced: keeps the list within twice its bound."""
        moved: dict[int, int] = {}
        kept: list[Frame | None] = []
        for index, frame in enumerate(self._frames):
            if frame is not None:
                moved[index] = len(kept)
                kept.append(frame)
        self._frames, self._vacant = kept, 0
        if self._latest is not None:
            self._latest = {key: moved[index] for key, index in self._latest.items()}
        if self._droppable is not None:
            self._droppable = deque(moved[index] for index in self._droppable)

    def _append(self, frame: Frame) -> None:
        index = len(self._frames)
        if frame.overflow is Overflow.CONFLATE and frame.key is not None:
            if self._latest is None:
                self._latest = {}
            self._latest[frame.key] = index
        elif frame.overflow is Overflow.DROP_OLDEST:
            if self._droppable is None:
                self._droppable = deque()
            self._droppable.append(index)
        self._frames.append(frame)
        self.queued_bytes += len(frame.data)
        if not self.filled:
            self.filled = True
            self._filled()
