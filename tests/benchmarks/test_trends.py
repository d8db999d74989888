import random

import pytest

from benchmarks.trends import Trend, settles, trends

SECONDS = [float(10 * window) for window in range(1, 61)]
STEADY = [1.0] * len(SECONDS)


def of(key: str, values: list[float]) -> Trend:
    series = {"seconds": SECONDS, **dict.fromkeys(("rss_mib", "p50_ms", "p99_ms"), STEADY)}
    return trends(series | {"server_share": STEADY, key: values})[key]


def noisy(grown: float, seed: int = 0) -> list[float]:
    """Delays of 10 ms that scatter by a third, and grow evenly by so much."""
    scatter = random.Random(seed)  # noqa: S311 - the same each time
    return [10 + scatter.gauss(0, 3) + grown * second / SECONDS[-1] for second in SECONDS]


def test_growing_until_the_log_is_full_is_no_leak() -> None:
    memory = of("rss_mib", [min(60.0 + second, 200.0) for second in SECONDS])
    assert memory.flat
    assert str(memory) == "memory: 200.00, then 200.00 MiB: +0.0%, +0.00 an hour, flat"


def test_growing_without_end_is_one() -> None:
    memory = of("rss_mib", [100.0 + second / 60 for second in SECONDS])
    assert memory.per_hour == pytest.approx(60)
    assert not memory.flat
    assert str(memory).endswith("+60.00 an hour, NOT FLAT")


def test_getting_less_is_flat() -> None:
    assert of("rss_mib", [200.0 - second / 60 for second in SECONDS]).flat
    assert of("p99_ms", [20.0 - second / 60 for second in SECONDS]).flat


def test_memory_does_not_scatter() -> None:
    assert not of("rss_mib", noisy(grown=5.0)).flat


@pytest.mark.parametrize("seed", range(5))
def test_delays_that_scatter_are_flat_until_the_thirds_lie_apart(seed: int) -> None:
    assert of("p99_ms", noisy(0.0, seed)).flat
    assert not of("p99_ms", noisy(15.0, seed)).flat


def test_what_grows_by_next_to_nothing_is_flat_however_little_it_scatters() -> None:
    assert of("p99_ms", [10.0 + second / 1000 for second in SECONDS]).flat
    assert not of("p99_ms", [10.0 + second / 100 for second in SECONDS]).flat


@pytest.mark.parametrize("window", [-1, -5, 20, 40])
def test_one_window_decides_nothing(window: int) -> None:
    values = noisy(0.0)
    usual = of("p99_ms", values)
    values[window] = 5_000.0
    found = of("p99_ms", values)
    assert found.flat
    assert abs(found.last.middle - usual.last.middle) < 2


def test_what_is_told_of_delays() -> None:
    told = str(of("p99_ms", [10.0 + (second > 400) for second in SECONDS]))
    assert told == (
        "p99: 10.00 (10.00 to 10.00), then 11.00 (11.00 to 11.00) ms: +10.0%, +11.61 an hour, flat"
    )


def test_a_figure_that_was_not_seen_has_not_grown() -> None:
    assert of("p99_ms", [0.0] * len(SECONDS)).flat


def test_of_a_short_run_the_second_half_is_looked_at() -> None:
    series = {"seconds": SECONDS[:6], "rss_mib": [1.0, 1.0, 5.0, 5.0, 6.0, 7.0]}
    series |= dict.fromkeys(("p50_ms", "p99_ms", "server_share"), STEADY[:6])
    memory = trends(series)["rss_mib"]
    assert (memory.first.middle, memory.last.middle) == (5.0, 7.0)
    assert trends({key: values[:1] for key, values in series.items()})["rss_mib"].per_hour == 0


def test_a_verdict_takes_as_long_again_as_settling() -> None:
    assert not settles(299.0)
    assert settles(300.0)
