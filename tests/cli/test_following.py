"""What is known of the job of a request, from what is heard: no server is asked here."""

from __future__ import annotations

import pytest

from lbproto.cli.client import Heard
from lbproto.cli.failure import Failure
from lbproto.cli.following import Following
from lbproto.messages import Attach

ATTACHED = Heard("attached", {"id": "j-1", "after": 0})
NOT_FOUND = Heard("error", {"code": "NOT_FOUND", "message": "none", "event": "attach"})


def begun(*names: str, event: str = "report_began", **given: str) -> Following:
    """A job whose first event has these ids, of a request with what is given."""
    job = Following(given)
    job.hear(Heard(event, {f"a{number}Id": name for number, name in enumerate(names)}))
    return job


def asked(job: Following) -> str | None:
    """What is asked about now."""
    question = job.question()
    return None if question is None else question.id


def test_what_is_new_is_asked_about_once_and_then_after_silence() -> None:
    job = begun("j-1")
    assert job.question() == Attach(id="j-1", after=2**31 - 1)
    assert asked(job) is None
    assert job.answered(ATTACHED)
    assert asked(job) is None
    job.silent()
    assert asked(job) == "j-1"


def test_one_question_waits_for_the_answer_to_another() -> None:
    job = begun("c-1")
    assert asked(job) == "c-1"
    job.hear(Heard("page", {"jobId": "j-1"}))
    assert asked(job) is None
    assert job.answered(NOT_FOUND)
    assert asked(job) == "j-1"


def test_any_field_may_name_what_has_begun_by_its_name_and_else_those_called_ids() -> None:
    data = {"key": "k-1", "jobId": "j-1"}
    for event, names in (("report_started", ["j-1", "k-1"]), ("report_began", ["j-1"])):
        job = Following({})
        job.hear(Heard(event, data))
        assert job.names == names


def test_one_that_nothing_names_is_waited_for_and_given_up() -> None:
    job = Following({"batch": "b-1"})
    job.hear(Heard("report_started", {"batch": "b-1"}))
    assert (job.runs, job.names, job.patience) == (True, [], 120)
    with pytest.raises(Failure, match="nothing has come for 120 s since 'report_started'"):
        job.silent()


def test_the_longer_it_is_silent_the_less_it_is_asked_about() -> None:
    job = begun("j-1")
    waited = []
    for _ in range(7):
        waited.append(job.patience)
        assert asked(job) == "j-1"
        assert job.answered(ATTACHED)
        job.silent()
    assert waited == [1, 2, 4, 8, 16, 30, 30]
    job.hear(Heard("page", {}))
    assert job.patience == 1


def test_an_answer_that_comes_late_is_not_asked_for_again() -> None:
    job = begun("j-1")
    assert asked(job) == "j-1"
    job.silent()
    assert asked(job) is None
    assert job.answered(ATTACHED)
    assert asked(job) is None


def test_a_server_that_does_not_answer_is_given_up() -> None:
    job = begun("j-1")
    assert asked(job) == "j-1"
    for _ in range(5):
        job.silent()
    with pytest.raises(Failure, match="does not say whether the job 'j-1' is running"):
        job.silent()


def test_what_may_name_it_is_asked_about_until_one_does() -> None:
    job = begun("c-1", "j-1", "p-1")
    assert job.names == ["c-1", "j-1", "p-1"]
    assert asked(job) == "c-1"
    assert job.answered(NOT_FOUND)
    assert asked(job) == "j-1"
    assert job.answered(ATTACHED)
    assert job.names == ["j-1"]
    job.hear(Heard("page", {"pageId": "p-2"}))
    assert job.names == ["j-1"]
    job.silent()
    assert asked(job) == "j-1"
    assert job.answered(NOT_FOUND)
    assert not job.runs
    assert job.patience is None


@pytest.mark.parametrize(
    "answer",
    [
        Heard("error", {"code": "OVERLOADED", "message": "not now", "event": "attach"}),
        Heard("insufficient_credits", {"event": "attach"}),  # which has no code
    ],
)
def test_a_server_that_cannot_tell_is_asked_later(answer: Heard) -> None:
    job = begun("j-1")
    assert asked(job) == "j-1"
    assert job.answered(answer)
    assert job.runs
    assert asked(job) is None
    job.silent()
    assert asked(job) == "j-1"


def test_what_a_server_may_have_asked_about_is_bounded() -> None:
    assert len(begun(*map(str, range(100))).names) == 8
    assert begun("x" * 129, "x" * 128).names == ["x" * 128]
    assert begun("mine", "j-1", conversationId="mine").names == ["j-1"]
    assert not begun("mine", conversationId="mine").runs


def test_a_refusal_is_the_end_where_it_is_the_first_word_and_else_asked_about() -> None:
    refusal = Heard("report_error", {"code": "NOT_FOUND", "message": "none", "jobId": "j-1"})
    job = Following({})
    job.hear(refusal)
    assert not job.runs
    job = begun("j-1")
    assert asked(job) == "j-1"
    assert job.answered(ATTACHED)
    job.hear(refusal)
    assert job.runs
    assert asked(job) == "j-1"


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        ("chat_typing", "chat_response"),
        ("chat_typing", "chat_error"),
        ("query_started", "query_completed"),
    ],
)
def test_the_end_of_what_is_called_as_usual_is_known(begin: str, end: str) -> None:
    job = begun("j-1", event=begin)
    job.hear(Heard(end, {}))
    assert not job.runs
    job.hear(Heard("page", {"pageId": "p-1"}))
    assert not job.runs
    assert asked(job) is None
