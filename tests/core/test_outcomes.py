"""Outcomes of requests: kept for a while, within bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproto import Event, NotFound, Overloaded, RequestError
from lbproto.repeats.outcomes import Key, Outcomes

LIFETIME = 600.0


class Bought(Event):
    number: int
    text: str = ""


def keep(
    outcomes: Outcomes,
    key: Key,
    answer: Event,
    *,
    error: RequestError | None = None,
    now: float = 0.0,
) -> None:
    """Serve a request."""
    outcome = outcomes.begin(key, b"digest")
    assert outcomes.find(key, now) is outcome
    outcome.answer(answer)
    outcomes.settle(key, error, now)


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from(["ok", "final", "retry"]), st.floats(0, 400)),
        max_size=40,
    )
)
def test_the_store_agrees_with_a_model(ops: list[tuple[int, str, float]]) -> None:
    outcomes, now = Outcomes(), 0.0
    model: dict[Key, tuple[float, int]] = {}
    for number, (which, how, passed) in enumerate(ops):
        now += passed
        key = Key("ada", "buy", str(which))
        known = model.get(key)
        found = outcomes.find(key, now)
        if known is None or known[0] <= now:
            assert found is None
        else:
            assert found is not None
            assert found.answers == [(Bought(number=known[1]), False)]
            continue
        model.pop(key, None)
        error = {"ok": None, "final": NotFound("no"), "retry": Overloaded("later")}[how]
        keep(outcomes, key, Bought(number=number), error=error, now=now)
        if how != "retry":
            model[key] = (now + LIFETIME, number)


@pytest.mark.parametrize(("kept", "size"), [(3, 10_000_000), (1_000, 3 * 2_300)])
def test_the_store_is_bounded(kept: int, size: int) -> None:
    outcomes = Outcomes(max_kept=kept, max_bytes=size)
    keys = [Key("ada", "buy", str(number)) for number in range(10)]
    for key in keys:
        keep(outcomes, key, Bought(number=1, text="x" * 200))
    assert len(outcomes) == 3
    assert [key for key in keys if outcomes.find(key, 0.0)] == keys[-3:]


@pytest.mark.parametrize(("kept", "size"), [(3, 10_000_000), (1_000, 3 * 2_300)])
def test_who_asks_for_much_loses_their_own(kept: int, size: int) -> None:
    outcomes = Outcomes(max_kept_per_user=kept, max_bytes_per_user=size)
    keys = [Key(user, "buy", str(number)) for user in ("ada", "eve") for number in range(3)]
    more = [Key("eve", "buy", str(number)) for number in range(3, 10)]
    for key in keys + more:
        keep(outcomes, key, Bought(number=1, text="x" * 200))
    assert [key for key in keys + more if outcomes.find(key, 0.0)] == keys[:3] + more[-3:]


def test_nothing_is_left_of_what_has_expired() -> None:
    outcomes = Outcomes()
    for user in ("ada", "eve"):
        keep(outcomes, Key(user, "buy", "1"), Bought(number=1))
    assert outcomes.find(Key("ada", "buy", "1"), LIFETIME) is None
    assert (len(outcomes), outcomes._all.size, outcomes._own) == (0, 0, {})


def test_what_is_kept_keeps_no_job() -> None:
    class Job:
        ended = False

        def reaches(self, after: int) -> int:
            return after

        def watch(self, ctx: object, after: int) -> None: ...

    outcomes, key = Outcomes(), Key("ada", "dig", "1")
    outcome = outcomes.begin(key, b"digest")
    outcome.job = Job()
    outcomes.settle(key, None, 0.0)
    assert outcomes.find(key, 0.0) is outcome
    assert outcome.job is None
