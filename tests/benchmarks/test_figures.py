import pytest

from benchmarks.figures import Figure, Spread, differs, ratio, spread


def test_a_spread_is_of_the_repeats() -> None:
    assert spread([3.0, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0)


def test_a_ratio_is_taken_repeat_by_repeat() -> None:
    # The machine was twice as slow in the second repeat, for both.
    assert ratio([2.0, 4.0, 2.0], [1.0, 2.0, 1.0]) == Spread(2.0, 2.0, 2.0)


def test_a_ratio_to_other_repeats_is_to_their_median() -> None:
    assert ratio([2.0, 4.0], [1.0, 2.0, 9.0]) == Spread(1.5, 1.0, 2.0)


@pytest.mark.parametrize(("values", "base"), [([], [1.0]), ([1.0], []), ([1.0], [0.0])])
def test_there_is_no_ratio_to_nothing(values: list[float], base: list[float]) -> None:
    assert ratio(values, base) is None


@pytest.mark.parametrize(
    ("now", "real"),
    [
        (Spread(1.5, 1.4, 1.6), True),
        (Spread(0.5, 0.4, 0.6), True),
        (Spread(1.5, 1.0, 1.6), False),  # its repeats reach the stored ones
        (Spread(1.09, 1.07, 1.1), False),  # below noise
    ],
)
def test_what_differs_is_further_apart_than_the_repeats_and_noise(now: Spread, real: bool) -> None:
    assert differs(now, Spread(1.0, 0.95, 1.05)) is real


def test_a_figure_is_shown_with_its_unit() -> None:
    assert Figure("a", "rate", "/s", digits=0).show(1234.5) == "rate 1,234 /s"
    assert Figure("a", "modules", "", digits=0).show(3) == "modules 3"
