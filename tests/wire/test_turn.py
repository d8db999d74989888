"""What is sent to many in one turn: who is in step, who steps out, and in what order it arrives."""

from __future__ import annotations

import pytest

from lbproto.delivery.outbox import Outbox
from lbproto.delivery.turn import Group, Turn, in_step, step_out
from lbproto.frame import Frame, frame_of
from lbproto.transport import Transport
from tests.wire.kit import MemoryTransport
from tests.wire.swift import SwiftTransport


class Line:
    """A connection without a server."""

    def __init__(self) -> None:
        self.groups: dict[Group, None] = {}
        self.alone_until = 0
        self.wire = SwiftTransport()
        self.transport: Transport = self.wire
        self.outbox = Outbox(1_000, 1_000_000, lambda: None, lambda: None)
        self.writing = False

    def queued(self) -> list[str]:
        """What waits in the outbox."""
        return [str(message) for frame in self.outbox.take() for message in frame.messages]


def text(content: str) -> Frame:
    return frame_of(content.encode())


class Choir:
    """A turn, and groups whose lines are told of when they leave."""

    def __init__(self) -> None:
        self.time = 0.0
        self.turn = Turn(lambda: self.time)
        self.woken = 0
        self.turn.wake = self._woken
        self.left: list[object] = []

    def _woken(self) -> None:
        self.woken += 1

    def group(self, *lines: Line) -> Group:
        group = Group(self.turn, self.left.append)
        for line in lines:
            assert group.step_in(line, line)
        return group


def test_a_group_is_written_once_for_each_line_with_the_same_bytes() -> None:
    choir = Choir()
    lines = [Line() for _ in range(3)]
    group = choir.group(*lines)
    assert not choir.turn.dirty
    group.push(text("a"))
    group.push(text("b"))
    assert choir.woken == 1
    choir.turn.write()
    assert not choir.turn.dirty
    for line in lines:
        assert line.wire.messages == ["a", "b"]
        assert line.wire.writes == lines[0].wire.writes
        assert line.wire.writes[0] is lines[0].wire.writes[0]
    choir.turn.write()
    assert len(lines[0].wire.writes) == 1
    group.push(text("c"))
    assert choir.woken == 2


def test_nobody_steps_in_while_something_is_pending() -> None:
    choir = Choir()
    group = choir.group(Line())
    group.push(text("a"))
    late = Line()
    assert not group.step_in(late, late)
    choir.turn.write()
    assert group.step_in(late, late)
    group.push(text("b"))
    choir.turn.write()
    assert late.wire.messages == ["b"]


def test_who_steps_out_has_what_is_pending_in_its_outbox_in_order() -> None:
    choir = Choir()
    line, other = Line(), Line()
    first, second = choir.group(line, other), choir.group(line)
    first.push(text("1"))
    second.push(text("2"))
    first.push(text("3"))
    step_out(line)
    assert line.queued() == ["1", "2", "3"]
    assert choir.left == [line, line]
    assert not line.groups
    choir.turn.write()
    assert line.wire.writes == []
    assert other.wire.messages == ["1", "3"]


def test_a_line_of_several_busy_groups_is_alone_for_a_while() -> None:
    choir = Choir()
    both, first_only, second_only = Line(), Line(), Line()
    first, second = choir.group(both, first_only), choir.group(both, second_only)
    second.push(text("1"))
    first.push(text("2"))
    second.push(text("3"))
    choir.turn.write()
    assert both.queued() == ["1", "2", "3"]
    assert first_only.wire.messages == ["2"]
    assert second_only.wire.messages == ["1", "3"]
    assert not first.step_in(both, both)
    for _ in range(256):
        first.push(text("."))
        choir.turn.write()
    assert first.step_in(both, both)


def test_a_line_of_several_groups_stays_while_only_one_is_busy() -> None:
    choir = Choir()
    line = Line()
    busy, _quiet = choir.group(line), choir.group(line)
    busy.push(text("1"))
    choir.turn.write()
    assert line.wire.messages == ["1"]
    assert len(line.groups) == 2


def test_whose_transport_takes_no_more_gets_it_by_the_outbox() -> None:
    choir = Choir()
    line, other = Line(), Line()
    group = choir.group(line, other)
    group.push(text("1"))
    line.wire.pause()
    assert choir.left == [line]
    choir.turn.write()
    assert line.queued() == ["1"]
    assert line.wire.writes == []
    assert other.wire.messages == ["1"]


def test_a_transport_that_takes_no_more_while_it_is_written_to_has_got_it() -> None:
    choir = Choir()
    lines = [Line(), Line(), Line()]
    line = lines[1]

    def write(data: bytes) -> None:  # as a server's high-water mark may be reached within
        line.wire.writes.append(data)
        line.wire.pause()

    line.wire.write = write
    group = choir.group(*lines)
    group.push(text("1"))
    choir.turn.write()
    assert len(line.wire.writes) == 1
    assert line.queued() == []
    assert choir.left == [line]
    assert [other.wire.messages for other in (lines[0], lines[2])] == [["1"], ["1"]]


def test_who_is_in_step() -> None:
    line = Line()
    assert in_step(line)
    line.outbox.push(text("1"))
    assert not in_step(line)
    line.outbox.take()
    line.writing = True
    assert [in_step(line)] == [False]
    line.writing = False
    line.wire.pause()
    assert [in_step(line)] == [False]


def test_a_group_is_full_until_it_is_written() -> None:
    choir = Choir()
    line = Line()
    group = choir.group(line)
    for _ in range(6):
        group.push(text("x" * 10_000))
        assert not group.full
    group.push(text("x" * 10_000))
    full = group.full
    choir.turn.write()
    assert full
    assert not group.full
    assert len(line.wire.messages) == 7


def test_a_transport_that_is_closed_unnoticed_keeps_nothing_from_the_others() -> None:
    choir = Choir()
    dead, line = Line(), Line()
    group = choir.group(dead, line)
    dead.wire.dead = True
    group.push(text("1"))
    choir.turn.write()
    assert line.wire.messages == ["1"]


def test_a_transport_that_never_is_ready_cannot_write() -> None:
    transport = MemoryTransport()
    assert not transport.ready
    with pytest.raises(RuntimeError, match="no way to write 1 bytes"):
        transport.write(b"x")


def pour(choir: Choir, group: Group, writes: int, *, seconds: float, each: int = 1) -> None:
    """Write to a group so often in so many seconds, each time so many events."""
    for _ in range(writes):
        for _ in range(each):
            group.push(text("x"))
        choir.time += seconds / writes
        choir.turn.write()


def heat(choir: Choir, group: Group) -> None:
    pour(choir, group, 1, seconds=1.0)  # the first look is at a group that has just begun
    while not group.hot:
        pour(choir, group, 10, seconds=0.005)
        assert choir.time < 5.0


def test_a_hot_group_is_held_until_it_is_released() -> None:
    choir = Choir()
    line = Line()
    group = choir.group(line)
    heat(choir, group)
    holds: list[bool] = []
    choir.turn.hold = lambda: holds.append(choir.turn.held)
    woken = choir.woken
    group.push(text("a"))
    group.push(text("b"))
    assert holds == [True]
    assert choir.woken == woken
    choir.turn.release()
    assert choir.woken == woken + 1
    before = len(line.wire.writes)
    choir.turn.write()
    assert line.wire.messages[-2:] == ["a", "b"]
    assert len(line.wire.writes) == before + 1


@pytest.mark.parametrize(("writes", "each"), [(10, 1), (900, 1), (500, 20)])
def test_below_a_thousand_writes_a_second_nothing_is_held(writes: int, each: int) -> None:
    choir = Choir()
    group = choir.group(Line())
    pour(choir, group, 1, seconds=1.0)
    pour(choir, group, writes, seconds=1.0, each=each)
    assert not group.hot
    group.push(text("a"))
    assert not choir.turn.held


def test_a_group_stays_hot_while_holding_joins_something() -> None:
    choir = Choir()
    group = choir.group(Line())
    heat(choir, group)
    pour(choir, group, 600, seconds=1.0, each=3)
    assert group.hot


@pytest.mark.parametrize(("writes", "each"), [(10, 5), (900, 1)], ids=["cooled", "joins nothing"])
def test_a_group_is_held_no_longer_than_it_pays(writes: int, each: int) -> None:
    choir = Choir()
    group = choir.group(Line())
    heat(choir, group)
    pour(choir, group, writes, seconds=1.0, each=each)
    assert not group.hot


def test_all_groups_wait_with_a_hot_one_so_that_the_order_is_kept() -> None:
    choir = Choir()
    both, other = Line(), Line()
    hot, cold = choir.group(both), choir.group(both, other)
    heat(choir, hot)
    hot.push(text("first"))
    cold.push(text("second"))
    assert choir.turn.held
    choir.turn.release()
    choir.turn.write()
    assert both.queued() == ["first", "second"]  # in two groups with something for it: steps out
    assert other.wire.messages == ["second"]


def test_a_line_that_steps_out_does_not_wait() -> None:
    choir = Choir()
    line = Line()
    group = choir.group(line)
    heat(choir, group)
    group.push(text("held"))
    step_out(line)
    assert line.queued() == ["held"]


def test_what_is_held_is_written_once_it_is_full() -> None:
    choir = Choir()
    line = Line()
    group = choir.group(line)
    heat(choir, group)
    group.push(text("x" * 70_000))
    assert (choir.turn.held, group.full) == (True, True)
    choir.turn.write()
    assert (choir.turn.held, group.full) == (False, False)
    assert line.wire.messages[-1] == "x" * 70_000
