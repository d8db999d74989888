"""The bounded outbox: every policy against a model, and what a client loses is counted."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from lbproto.delivery.outbox import Outbox, Pushed
from lbproto.overflow import Overflow
from lbproto.wire import Frame

DISCONNECT, DROP_OLDEST, CONFLATE = Overflow.DISCONNECT, Overflow.DROP_OLDEST, Overflow.CONFLATE


def frame(size: int = 1, overflow: Overflow = DISCONNECT, key: str | None = None) -> Frame:
    return Frame(b"x" * size, overflow, key)


class OutboxMachine(RuleBasedStateMachine):
    @initialize(max_frames=st.integers(1, 5), max_bytes=st.integers(1, 20))
    def start(self, max_frames: int, max_bytes: int) -> None:
        self.max_frames, self.max_bytes = max_frames, max_bytes
        self.filled = self.overflowed = 0
        self.outbox = Outbox(max_frames, max_bytes, self.fill, self.overflow)
        # The model
        self.queue: list[Frame] = []
        self.closed = False
        self.signalled = False
        self.dropped = self.conflated = 0
        self.expected_filled = self.expected_overflowed = 0

    def fill(self) -> None:
        assert len(self.outbox) > 0
        self.filled += 1

    def overflow(self) -> None:
        assert self.outbox.closed
        self.overflowed += 1

    @property
    def bytes(self) -> int:
        return sum(len(each.data) for each in self.queue)

    def has_room(self, new: Frame) -> bool:
        fits = len(self.queue) < self.max_frames and self.bytes + len(new.data) <= self.max_bytes
        return fits or not self.queue

    def model_push(self, new: Frame) -> Pushed:
        if self.closed:
            self.dropped += 1
            return Pushed.DROPPED
        outcome = Pushed.QUEUED
        if new.overflow is CONFLATE and new.key is not None:
            stale = [each for each in self.queue if each.key == new.key]
            assert len(stale) <= 1
            for each in stale:
                self.queue.remove(each)
                self.conflated += 1
                outcome = Pushed.CONFLATED
        if new.overflow is DROP_OLDEST:
            while not self.has_room(new):
                oldest = next((each for each in self.queue if each.overflow is DROP_OLDEST), None)
                self.dropped += 1
                if oldest is None:
                    return Pushed.DROPPED
                self.queue.remove(oldest)
        elif not self.has_room(new):
            self.dropped += len(self.queue) + 1
            self.closed, self.queue = True, []
            self.expected_overflowed += 1
            return Pushed.DROPPED
        self.queue.append(new)
        self.expected_filled += not self.signalled
        self.signalled = True
        return outcome

    @rule(
        size=st.integers(0, 8) | st.integers(0, 40),
        policy=st.sampled_from([DISCONNECT, DROP_OLDEST, CONFLATE]),
        key=st.sampled_from([None, "a", "b"]),
    )
    def push(self, size: int, policy: Overflow, key: str | None) -> None:
        new = frame(size, policy, key if policy is CONFLATE else None)
        assert self.outbox.push(new) == self.model_push(new)

    @rule(size=st.integers(0, 2), times=st.integers(1, 12))
    def conflate_often(self, size: int, times: int) -> None:
        for _ in range(times):
            self.push(size, CONFLATE, "a")

    @rule()
    def take(self) -> None:
        taken = self.outbox.take()
        assert taken == self.queue
        self.queue, self.signalled = [], False

    @rule(sure=st.integers(0, 9))
    def close(self, sure: int) -> None:
        if sure == 0:
            self.outbox.close()
            self.closed, self.queue = True, []

    @invariant()
    def agrees_with_the_model(self) -> None:
        outbox = self.outbox
        assert (len(outbox), outbox.queued_bytes) == (len(self.queue), self.bytes)
        assert outbox.closed is self.closed
        assert (outbox.dropped, outbox.conflated) == (self.dropped, self.conflated)
        assert (self.filled, self.overflowed) == (self.expected_filled, self.expected_overflowed)
        assert self.overflowed <= 1

    @invariant()
    def is_bounded(self) -> None:
        outbox = self.outbox
        assert len(outbox) <= self.max_frames
        assert outbox.queued_bytes <= self.max_bytes or len(outbox) == 1
        assert len(outbox._frames) <= 2 * self.max_frames + 1


OutboxMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=30)
TestOutbox = OutboxMachine.TestCase


class Signals:
    """An outbox, and how often it has called."""

    def __init__(self, max_frames: int = 3, max_bytes: int = 10) -> None:
        self.filled = self.overflowed = 0
        self.outbox = Outbox(max_frames, max_bytes, self._fill, self._overflow)

    def _fill(self) -> None:
        self.filled += 1

    def _overflow(self) -> None:
        self.overflowed += 1


def test_whoever_flushes_is_called_once_until_they_have_taken() -> None:
    signals = Signals()
    for _ in range(2):
        signals.outbox.push(frame())
        signals.outbox.push(frame())
        assert signals.filled == 1
        assert len(signals.outbox.take()) == 2
        signals.filled = 0
    assert signals.outbox.take() == []


def test_a_single_large_frame_is_taken_when_the_outbox_is_empty() -> None:
    for policy in (DISCONNECT, DROP_OLDEST, CONFLATE):
        signals = Signals()
        large = frame(1_000, policy, "k")
        assert signals.outbox.push(large) == Pushed.QUEUED
        assert signals.outbox.take() == [large]
        assert signals.overflowed == 0


def test_a_frame_that_may_not_be_lost_closes_once() -> None:
    signals = Signals()
    assert [signals.outbox.push(frame(5)) for _ in range(4)] == [0, 0, 2, 2]
    assert (signals.overflowed, signals.outbox.closed) == (1, True)
    assert (signals.outbox.dropped, signals.outbox.take()) == (4, [])


def test_the_oldest_that_may_be_dropped_are() -> None:
    signals = Signals(max_frames=3, max_bytes=100)
    kept, old, newer, newest = frame(), *(frame(1, DROP_OLDEST) for _ in range(3))
    for each in (kept, old, newer, newest):
        assert signals.outbox.push(each) == Pushed.QUEUED
    assert signals.outbox.take() == [kept, newer, newest]
    assert signals.outbox.dropped == 1


def test_where_nothing_may_be_dropped_the_new_one_is() -> None:
    signals = Signals(max_frames=2, max_bytes=100)
    kept = [frame(), frame()]
    for each in kept:
        signals.outbox.push(each)
    assert signals.outbox.push(frame(1, DROP_OLDEST)) == Pushed.DROPPED
    assert signals.outbox.take() == kept
    assert signals.overflowed == 0


def test_the_newest_of_a_key_is_kept_and_comes_last() -> None:
    signals = Signals(max_frames=4, max_bytes=100)
    stale, closed, newest = frame(1, CONFLATE, "k"), frame(1, CONFLATE), frame(1, CONFLATE, "k")
    other = frame(1, CONFLATE, "other")
    outcomes = [signals.outbox.push(each) for each in (stale, closed, other, newest)]
    assert outcomes == [Pushed.QUEUED, Pushed.QUEUED, Pushed.QUEUED, Pushed.CONFLATED]
    assert signals.outbox.take() == [closed, other, newest]
    assert signals.outbox.conflated == 1


def test_what_was_taken_is_not_replaced() -> None:
    signals = Signals()
    signals.outbox.push(frame(1, CONFLATE, "k"))
    signals.outbox.take()
    assert signals.outbox.push(frame(1, CONFLATE, "k")) == Pushed.QUEUED
    assert signals.outbox.conflated == 0


@pytest.mark.parametrize("droppable", [0, 1])
def test_conflating_for_ever_neither_grows_nor_forgets(droppable: int) -> None:
    signals = Signals(max_frames=3, max_bytes=100)
    first = frame()
    signals.outbox.push(first)
    for _ in range(droppable):
        signals.outbox.push(frame(1, DROP_OLDEST))
    updates = [frame(1, CONFLATE, "k") for _ in range(10_000)]
    for update in updates:
        signals.outbox.push(update)
        assert len(signals.outbox._frames) <= 7
    assert signals.outbox.push(last := frame(1, DROP_OLDEST)) == Pushed.QUEUED
    assert signals.outbox.take() == [first, updates[-1], last]
    assert (signals.outbox.conflated, signals.outbox.dropped) == (9_999, droppable)
    assert signals.filled == 1
