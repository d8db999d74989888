from benchmarks.cases.soak import Trend, trends

SECONDS = [float(10 * slice_) for slice_ in range(1, 61)]


def series(memory: list[float]) -> dict[str, list[float]]:
    steady = [1.0] * len(SECONDS)
    return {
        "seconds": SECONDS,
        "rss_mib": memory,
        "p50_ms": steady,
        "p99_ms": steady,
        "server_share": steady,
    }


def memory_of(found: list[Trend]) -> Trend:
    return next(trend for trend in found if trend.key == "rss_mib")


def test_growing_until_the_log_is_full_is_no_leak() -> None:
    found = trends(series([min(60.0 + second, 200.0) for second in SECONDS]))
    assert all(trend.flat for trend in found)
    assert str(memory_of(found)) == "memory: +0.00 MiB an hour (+0.0%), flat"


def test_growing_without_end_is_one() -> None:
    memory = memory_of(trends(series([100.0 + second / 60 for second in SECONDS])))
    assert round(memory.per_hour) == 60
    assert not memory.flat
    assert "NOT FLAT" in str(memory)


def test_getting_less_is_flat() -> None:
    assert memory_of(trends(series([200.0 - second / 60 for second in SECONDS]))).flat
