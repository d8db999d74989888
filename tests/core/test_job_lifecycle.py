"""The stages of a job: every state and every input, in any order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproto import ErrorCode, ErrorEvent, Event, Stages, UsageError
from lbproto.jobs.journal import Journal
from lbproto.jobs.lifecycle import Lifecycle, State
from tests.core.working import DIG, DigClosing, DigError, DigProgress, DigResponse, DigStarted
from tests.core.working import DigCompleted as Completed

STARTED, CLOSING = DigStarted(job_id="j", depth=1), DigClosing(job_id="j")
FOUND, DONE = DigResponse(job_id="j", found="a"), Completed(job_id="j", duration_ms=5)
FAILED = DigError(job_id="j", code=ErrorCode.CANCELLED, message="no more")


def lifecycle(stages: Stages = DIG) -> Lifecycle:
    last: list[Event] = [] if stages.before_terminal is None else [CLOSING]
    return Lifecycle(stages, lambda _stage: STARTED, lambda _outputs: last)


def at(pct: float) -> DigProgress:
    return DigProgress(job_id="j", pct=pct)


def apply(machine: Lifecycle, input_: Any, now: float = 0.0) -> list[Event]:
    if isinstance(input_, ErrorEvent):
        return machine.fail(input_)
    if isinstance(input_, DigProgress):
        return machine.progress(input_, now)
    calls: dict[Any, Any] = {
        DigStarted: machine.start,
        DigResponse: machine.output,
        Completed: machine.succeed,
    }
    events: list[Event] = calls[type(input_)](input_)
    return events


def test_what_is_told_of_a_job_that_says_all_itself() -> None:
    machine = lifecycle()
    assert [apply(machine, each) for each in (STARTED, at(10), FOUND, FOUND, DONE)] == [
        [STARTED],
        [at(10)],
        [FOUND],
        [FOUND],
        [CLOSING, DONE],
    ]


@pytest.mark.parametrize("first", [at(10), FOUND], ids=lambda event: event.event_name)
def test_what_comes_first_starts_it(first: Event) -> None:
    assert apply(lifecycle(), first) == [STARTED, first]


def test_one_that_has_nothing_to_say_is_started_and_ended() -> None:
    assert lifecycle().succeed(DONE) == [STARTED, CLOSING, DONE]


def test_a_refusal_before_the_start_is_the_failure_alone() -> None:
    assert lifecycle().fail(FAILED) == [FAILED]


def test_a_failure_after_the_start() -> None:
    machine = lifecycle()
    machine.start(None)
    assert machine.fail(FAILED) == [CLOSING, FAILED]


def test_all_but_the_failure_may_be_missing() -> None:
    stages = Stages(failure=DigError)
    assert lifecycle(stages).start(None) == []
    assert lifecycle(stages).succeed(None) == []
    assert lifecycle(stages).fail(FAILED) == [FAILED]
    for happens in (at(1), FOUND, DONE, STARTED):
        with pytest.raises(UsageError, match="told by no event"):
            apply(lifecycle(stages), happens)


@pytest.mark.parametrize(
    ("stage", "event"),
    [("start", FOUND), ("output", DONE), ("succeed", FOUND), ("succeed", None), ("output", None)],
)
def test_each_stage_has_its_event(stage: str, event: Event) -> None:
    machine = lifecycle()
    with pytest.raises(UsageError, match="this stage of the job is told by"):
        getattr(machine, stage)(event)
    assert machine.state is State.ACCEPTED


def test_it_starts_once() -> None:
    machine = lifecycle()
    machine.output(FOUND)
    with pytest.raises(UsageError, match="started once"):
        machine.start(STARTED)


def test_progress_is_told_five_times_a_second() -> None:
    machine = lifecycle()
    told = [machine.progress(at(tenth / 10), tenth / 64) for tenth in range(100)]
    assert [index for index, events in enumerate(told) if events] == list(range(0, 100, 13))


def test_progress_never_goes_back_nor_beyond_the_whole() -> None:
    machine = lifecycle()
    seen = []
    for second, pct in enumerate([-5, 10, 5, 40, 12, 170, 90]):
        seen += [each for each in machine.progress(at(pct), float(second)) if each != STARTED]
    assert seen == [at(pct) for pct in (0, 10, 10, 40, 40, 100, 100)]


def test_progress_that_is_not_told_counts() -> None:
    machine = lifecycle()
    machine.progress(at(10), 0.0)
    assert machine.progress(at(50), 0.1) == []
    assert machine.progress(at(20), 0.2) == [at(50)]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([STARTED, FOUND, DONE, FAILED]) | st.floats(-10, 110).map(at),
            st.floats(0, 0.3),
        ),
        max_size=14,
    )
)
def test_any_order(happens: list[tuple[Event, float]]) -> None:
    """One start at the most and first, one end at the most and last, whatever is tried."""
    machine, told, now, last = lifecycle(), list[Event](), 0.0, -1.0
    ends = [each for each, _ in happens if isinstance(each, Completed | DigError)]
    for each, pause in happens:
        now += pause
        try:
            events = apply(machine, each, now)
        except UsageError:
            assert each is STARTED  # the second one
            assert machine.state is State.RUNNING
            continue
        if any(isinstance(event, DigProgress) for event in events):
            assert now >= last + 0.2
            last = now
        told += events
    assert told.count(STARTED) <= 1
    kinds = [type(event) for event in told]
    if told and told != [FAILED]:
        assert kinds[0] is DigStarted
    assert [event for event in told if event in (DONE, FAILED)] == ends[:1]
    if ends:
        assert told[-1] == ends[0]
        assert machine.state is State.ENDED
        assert kinds.count(DigClosing) == (DigStarted in kinds)
    pcts = [event.pct for event in told if isinstance(event, DigProgress)]
    assert pcts == sorted(pcts)
    assert all(0 <= pct <= 100 for pct in pcts)


# What is kept


def response(found: str) -> DigResponse:
    return DigResponse(job_id="j", found=found)


def test_a_journal_has_what_was_told_after_any_number() -> None:
    journal = Journal(10_000)
    events = [response(str(number)) for number in range(5)]
    for event in events:
        journal.append(event)
    assert (journal.told, journal.reaches) == (5, 0)
    assert [journal.after(number) for number in (0, 3, 5, 9)] == [events, events[3:], [], []]


def test_a_journal_keeps_the_newest_within_its_bytes() -> None:
    journal = Journal(2_000)
    sizes = [journal.append(response("x" * 300)) for _ in range(10)]
    assert 500 < sizes[0] < 700
    assert (journal.told, journal.reaches) == (10, 7)
    assert len(journal.after(0)) == len(journal.after(7)) == 3
    journal.append(response("y" * 5_000))  # more than all of it may take
    assert (journal.told, journal.reaches) == (11, 10)
    assert journal.after(0) == [response("y" * 5_000)]
