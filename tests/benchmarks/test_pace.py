from collections.abc import Callable

import pytest

from benchmarks.pace import CLOSE, Pace, find_pace


class Server:
    """One that uses what a function of the pace says, and keeps up some paces."""

    def __init__(self, share: Callable[[float], float], most: float = 1e9) -> None:
        self.share = share
        self.most = most
        self.tried: list[float] = []

    def __call__(self, rate: float) -> Pace:
        self.tried.append(rate)
        return Pace(rate, self.share(rate), kept=rate <= self.most)


SHARES: dict[str, Callable[[float], float]] = {
    "the same for each": lambda rate: rate / 300,
    "something without any": lambda rate: 0.05 + rate / 300,
    "less for each, if there are more": lambda rate: min(1.0, 0.03 * rate**0.6),
    "more for each, if there are more": lambda rate: (rate / 300) ** 1.5,
    "less from some pace on": lambda rate: rate / 200 if rate < 100 else 0.5 + (rate - 100) / 900,
}


@pytest.mark.parametrize("load", [0.1, 0.6, 0.8])
@pytest.mark.parametrize("share", SHARES.values(), ids=SHARES)
def test_the_pace_is_found(share: Callable[[float], float], load: float) -> None:
    server = Server(share)
    found = find_pace(server, load, start=2.0, tries=12)
    assert abs(share(found.rate) - load) <= CLOSE
    assert found.share == pytest.approx(share(found.rate))
    assert server.tried[-2:] == [found.rate] * 2  # it was looked at twice


@pytest.mark.parametrize("share", SHARES.values(), ids=SHARES)
def test_a_first_try_may_be_too_much(share: Callable[[float], float]) -> None:
    assert abs(share(find_pace(Server(share), 0.2, start=500.0, tries=12).rate) - 0.2) <= CLOSE


def test_one_lucky_look_is_not_believed() -> None:
    shares = iter([0.6, 0.3, 0.5, 0.6, 0.6])  # the first 0.6 was the machine's
    found = find_pace(lambda rate: Pace(rate, next(shares)), 0.6, start=100.0, tries=5)
    assert found.share == 0.6
    assert found.rate > 100


def test_what_is_not_kept_up_is_not_gone_beyond() -> None:
    server = Server(lambda rate: min(rate / 500, 0.4), most=180.0)
    found = find_pace(server, 0.6, start=2.0, tries=12)
    assert found.kept
    assert 0.3 < found.share < 0.4
    assert max(server.tried) < 500  # no climbing without end


def test_what_cannot_be_reached_is_approached() -> None:
    found = find_pace(Server(lambda rate: rate / (rate + 100) / 2), 0.6, start=2.0, tries=8)
    assert 0.4 < found.share < 0.5


def test_of_paces_that_make_no_difference_it_is_the_slowest() -> None:
    server = Server(lambda rate: min(rate / 200, 0.45) + rate / 1e6)
    found = find_pace(server, 0.6, start=2.0, tries=12)
    assert found.rate == min(rate for rate in server.tried if rate > 90)


def test_a_server_that_keeps_up_nothing() -> None:
    assert not find_pace(Server(lambda _: 1.0, most=0.0), 0.6, start=2.0, tries=4).kept


def test_a_server_that_seems_to_do_nothing() -> None:
    found = find_pace(Server(lambda _: 0.0), 0.6, start=2.0, tries=3)
    assert found.rate == 2.0
