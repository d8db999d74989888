"""What holds of every analysis, and what a host can set."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import partial
from random import Random
from typing import TYPE_CHECKING, TypeAlias

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbproto_compliance.analysis import Method, Weights, exposures
from lbproto_compliance.analysis.ledger import ledger
from lbproto_compliance.analysis.taint import Payment, trace
from lbproto_compliance.graph import Limits, expand
from lbproto_compliance.prices import StaticPrices

if TYPE_CHECKING:
    from tests.analysis.conftest import Book

Rows: TypeAlias = list[tuple[int, int, int]]

METHODS: tuple[Method, ...] = ("haircut", "poison", "fifo")
CATEGORIES = ("sanctioned", "mixer", "scam", "gambling", "exchange", "individual", "unheard of")

_seeds = st.integers(0, 2**32).map(Random)


def _rows(random: Random) -> Rows:
    """Up to 60 payments between 9 people, of whom the first is in one at least."""
    pairs = (random.sample(range(9), 2) for _ in range(random.randrange(5, 60)))
    return [*((one, other, random.randrange(1, 10**6)) for one, other in pairs), (0, 1, 5)]


def _book(kind: type[Book], rows: Rows, said: dict[int, str], chain: str) -> Book:
    book = kind(chain)
    for one, (source, target, amount) in enumerate(rows):
        if chain == "ethereum":
            book.pay(f"p{source}", f"p{target}", amount)
        else:
            joint = {f"p{source}": amount, f"p{(source + one) % 9}": amount}
            change = f"p{(target + 1) % 9}"
            book.spend(joint, [(f"p{target}", amount), (change, amount // 2)])
    for person, category in said.items():
        book.say(f"p{person}", category, confidence=0.3 + person / 20)
    return book


@settings(max_examples=30)
@given(_seeds, st.integers(1, 5), st.sampled_from(METHODS), st.sampled_from([8, 1_000]))
@pytest.mark.parametrize("chain", ["ethereum", "bitcoin"])
def test_any_graph_has_an_answer_and_the_same_one_again(
    new_book: type[Book], chain: str, random: Random, hops: int, taint: Method, hub: int
) -> None:
    """That contributions add up, and that evidence exists, is looked at by `Book.analyse`."""
    rows = _rows(random)
    said = {person: random.choice(CATEGORIES) for person in random.sample(range(9), 4)}
    book, again = (_book(new_book, rows, said, chain) for _ in range(2))
    again.said = dict(reversed(again.said.items()))
    limits = Limits(hub_degree=hub)
    for node in range(0, book.graph.nodes, 3):
        address = book.graph.address(node)
        analysis = book.analyse(address, hops, taint=taint, limits=limits)
        assert analysis == again.analyse(address, hops, taint=taint, limits=limits)
        assert msgspec.json.decode(msgspec.json.encode(analysis), type=type(analysis)) == analysis


@settings(max_examples=80)
@given(_seeds, st.integers(1, 5), st.sampled_from(METHODS))
def test_nothing_is_missed_by_not_following_what_leads_nowhere(
    new_book: type[Book], random: Random, hops: int, taint: Method
) -> None:
    """Against following every payment there is."""
    rows = _rows(random)
    graph = _book(new_book, rows, {}, "ethereum").graph
    nodes = [graph.node(f"p{person}") or 0 for person in range(9)]
    seed, bad = nodes[0], {nodes[1], nodes[random.randrange(1, 9)]} - {nodes[0]}
    walk = expand(graph, [seed], hops).incoming
    routes = ledger(graph, walk, seed, hops, direction="incoming", harmful=bad, closed=bad)
    assert not routes.cut
    found = _follow(routes.payments, routes.ends, routes.followed, seed, hops, taint)

    every = [
        Payment(nodes[source], nodes[target], tx, 0, amount)
        for tx, (source, target, amount) in enumerate(rows)
    ]
    rest = set(range(graph.nodes)) - bad - {seed}
    expected = _follow(every, bad, rest, seed, hops, taint)
    if taint == "haircut":  # what is followed in vain takes part in rounding
        everything = found.keys() | expected.keys()
        assert all(abs(found[key] - expected[key]) <= len(rows) for key in everything)
    else:
        assert found == expected


def _follow(
    payments: list[Payment],
    sources: Collection[int],
    followed: Collection[int],
    seed: int,
    hops: int,
    taint: Method,
) -> defaultdict[tuple[int, int, int], int]:
    """What arrives, by origin, distance and transaction."""
    sums: defaultdict[tuple[int, int, int], int] = defaultdict(int)
    for arrival in trace(
        payments, sources=sources, followed=followed, targets={seed}, hops=hops, method=taint
    ):
        sums[arrival.origin, arrival.hops, payments[arrival.path[-1]].tx] += arrival.amount
    return sums


@pytest.mark.parametrize("taint", METHODS)
def test_money_is_followed_within_one_transaction(book: Book, taint: Method) -> None:
    way = [("thief", "router1"), ("router1", "router2"), ("router2", "alice")]
    # In whichever order a node tells of them.
    book.transfer(*((source, target, 10**18) for source, target in reversed(way)))
    book.say("thief", "sanctioned")
    assert [each.hops for each in book.analyse("alice", 3, taint=taint).signals] == [3]
    book.say("alice", "scam")
    (signal,) = book.analyse("thief", 3, taint=taint).signals[1:]
    assert (signal.code, signal.direction, signal.hops) == ("scam", "outgoing", 3)


def test_of_several_assets_the_largest_share_counts(book: Book) -> None:
    book.pay("thief", "alice", 600, "0xtoken")
    book.pay("bob", "alice", 400, "0xtoken")
    book.pay("thief", "alice", 1 * 10**18)
    book.pay("bob", "alice", 99 * 10**18)
    book.say("thief", "scam")
    (signal,) = book.analyse("alice").signals
    assert signal.pct == 60.0


def test_amounts_have_a_value_where_prices_are_known(book: Book) -> None:
    prices = StaticPrices({"ETH": {date(2024, 3, 1): Decimal(3000)}})
    book.pay("thief", "alice", 2 * 10**18)
    book.pay("thief", "bob", 2 * 10**18)
    book.pay("thief", "bob", 2 * 10**18, "0xtoken")
    for _ in range(24):
        book.pay("thief", "carol")
    book.say("thief", "scam")
    assert book.analyse("alice", prices=prices).signals[0].amount_usd == 6000.0
    assert book.analyse("alice").signals[0].amount_usd is None
    # A part whose price is not known makes the whole unknown: of a token, or of the next day.
    assert book.analyse("bob", prices=prices).signals[0].amount_usd is None
    assert book.analyse("carol", prices=prices).signals[0].amount_usd is None
    # The score is of shares, so prices do not change it.
    assert book.analyse("alice", prices=prices).risk_score == book.analyse("alice").risk_score


def test_weights_are_the_hosts(book: Book) -> None:
    book.pay("thief", "alice")
    book.say("thief", "scam")
    weights = Weights(points={"scam": 50}, hops=(100, 100), shares=((Fraction(0), 100),))
    assert book.analyse("alice", weights=weights).risk_score == 50
    assert book.analyse("alice", weights=Weights(points={})).signals == []


def test_the_four_stages_come_in_their_order_and_progress_never_falls(book: Book) -> None:
    told: list[tuple[str, float]] = []
    _crowd(book)
    book.analyse("alice", 4, step=lambda stage, pct: told.append((stage, pct)))
    stages = list(dict.fromkeys(stage for stage, _ in told))
    assert stages == ["resolve", "expand", "cluster", "score"]
    assert [pct for _, pct in told] == sorted(pct for _, pct in told)
    assert told[0][1] == 0
    assert told[-1][1] <= 100


@pytest.mark.parametrize("after", [0, 1, 3, 6, 9, 12])
def test_it_can_be_ended_between_steps(book: Book, after: int) -> None:
    class EndedError(Exception):
        pass

    steps = 0

    def step(stage: str, pct: float) -> None:
        nonlocal steps
        steps += 1
        if steps > after:
            raise EndedError

    _crowd(book)
    with pytest.raises(EndedError):
        book.analyse("alice", 4, step=step)
    assert steps == after + 1


def _crowd(book: Book) -> None:
    random = Random(8)  # noqa: S311 - to be the same each time
    names = ["alice", *(f"person{number}" for number in range(300))]
    for _ in range(2_000):
        source, target = random.sample(names, 2)
        book.pay(source, target, random.randrange(1, 10**18))
    for number in range(20):
        book.say(f"person{number}", "mixer")


def test_of_two_lists_the_surer_counts(book: Book) -> None:
    book.pay("thief", "alice")
    book.say("thief", "scam", confidence=0.1, source="a blog")
    book.say("thief", "scam", source="a court")
    (signal,) = book.analyse("alice").signals
    assert signal.contribution == 56


def test_a_doubtful_list_is_not_made_sure_by_another(book: Book) -> None:
    book.pay("doubted", "alice", 9e18)
    book.pay("thief", "alice", 1e18)
    book.say("doubted", "stolen_funds", confidence=0.1)
    book.say("thief", "stolen_funds")
    (signal,) = book.analyse("alice").signals
    assert (signal.pct, signal.contribution) == (100, 13)  # 85 * 80 % * (90 % * 10 % + 10 %)
    assert [each.source.partition(": ")[2] for each in signal.evidence] == [
        "doubted the stolen_funds (10 % sure), https://list.example",
        "thief the stolen_funds, https://list.example",
    ]


def test_poison_of_several_origins_is_no_more_than_was_paid(book: Book) -> None:
    for thief in ("thief1", "thief2"):
        book.pay(thief, "carol")
        book.say(thief, "scam")
    book.pay("carol", "alice")
    book.pay("bob", "alice")
    (signal,) = book.analyse("alice", taint="poison").signals
    assert signal.pct == 50


def test_what_is_too_much_to_follow_is_left_out_and_told(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    _crowd(book)
    assert not book.analyse("alice", 2).truncated
    graph = book.graph
    seed = graph.node("alice") or 0
    harmful = {graph.node(name) or 0 for name in book.said}
    walk = expand(graph, [seed], 3).incoming
    whole, part = (
        ledger(
            graph,
            walk,
            seed,
            3,
            direction="incoming",
            harmful=harmful,
            closed=harmful,
            most_payments=most,
        )
        for most in (10**6, 50)
    )
    assert (whole.cut, part.cut) == (False, True)
    assert 0 < len(part.payments) <= 50 + graph.degree(seed) < len(whole.payments)
    assert part.followed < whole.followed
    nearest = {*graph.incoming(seed).sources.tolist()}
    assert part.followed <= nearest < whole.followed | harmful
    # So many payments that the limit as it is would be reached take minutes.
    monkeypatch.setattr(exposures, "ledger", partial(ledger, most_payments=50))
    assert book.analyse("alice", 3).truncated


def test_a_hub_of_many_payments_is_asked_for(book: Book) -> None:
    for number in range(5_000):
        book.pay(f"customer{number}", "hub", 10**15 * (1 + number % 50))
    book.pay("customer7", "hub", 10**18)
    book.say("customer7", "sanctioned")
    analysis = book.analyse("hub", 5)
    assert [(each.code, each.direction) for each in analysis.signals] == [
        ("sanctioned", "incoming"),
        ("possible_service", "self"),
    ]
    assert analysis.signals[0].pct == round(100 * 1008 / (51 * 50 / 2 * 100 + 1000), 2)
    near = book.analyse("customer7", 5)
    assert near.truncated is False  # the hub pays nobody
    assert {each.code for each in near.signals} == {"sanctioned", "possible_service"}


def test_customers_of_one_deposit_address_are_one_cluster(book: Book) -> None:
    for name in ("alice", "alice-too"):
        book.pay(name, "deposit", 10**18)
        book.pay("deposit", "exchange", 10**18 - 10**15)
    book.say("exchange", "exchange")
    _, customer = book.analyse("alice").clusters
    assert (customer.size, customer.heuristics) == (3, ["deposit_address_reuse"])
    assert customer.confidence < 1


def test_a_cluster_is_shown_once(coins: Book) -> None:
    coins.spend({"thief": 100, "thief-too": 100}, [("alice", 150), ("thief", 50)])
    for name in ("thief", "thief-too"):
        coins.say(name, "scam")
    assert [each.size for each in coins.analyse("alice").clusters] == [1, 2]


def test_likely_change_is_told_and_joins_nothing(coins: Book) -> None:
    coins.spend({"shop": 50}, [("nobody", 50)])
    coins.spend({"alice": 100, "alice-too": 100}, [("shop", 150), ("change", 50)])
    own, likely = coins.analyse("alice").clusters
    assert (own.size, own.heuristics) == (2, ["common_input_ownership"])
    assert (likely.size, likely.heuristics[-1]) == (3, "change_output")
    assert likely.confidence < own.confidence
    assert coins.analyse("change").clusters[0].size == 1
