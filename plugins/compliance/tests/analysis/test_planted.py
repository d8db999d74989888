"""Cases whose answer is known: the signal that is expected, with the evidence that is expected."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING

import pytest

from lbproto import InvalidRequest, NotFound
from lbproto_compliance.analysis import Analysis, Signal, analyse
from lbproto_compliance.graph import Limits

if TYPE_CHECKING:
    from tests.analysis.conftest import Book

    from lbproto_compliance.analysis import Method

LISTED = "a list (2024-01-02): {0} the {1}, https://list.example"
HOPS = ["hop1", "hop2"]
ON = "passed on in the chain"


def _signals(analysis: Analysis) -> list[tuple[str, str, int, float, int]]:
    return [
        (each.code, each.direction, each.hops, each.pct, each.contribution)
        for each in analysis.signals
    ]


def _evidence(signal: Signal) -> list[tuple[str | None, str, str]]:
    return [(each.tx_hash, each.address, each.source) for each in signal.evidence]


def test_an_address_on_a_sanctions_list_is_critical(book: Book) -> None:
    first = book.pay("alice", "thief")
    book.say("thief", "sanctioned", source="OFAC SDN")
    book.say("thief", "sanctioned", source="EU")
    book.say("thief", "mixer")
    analysis = book.analyse("thief")
    assert (analysis.risk_score, analysis.risk_level) == (100, "critical")
    assert _signals(analysis) == [("sanctioned", "self", 0, 100.0, 100)]
    assert _evidence(analysis.signals[0]) == [
        (first, "thief", f"{name} (2024-01-02): thief the sanctioned, https://list.example")
        for name in ("EU", "OFAC SDN")
    ]


@pytest.mark.parametrize(
    ("hops", "level", "points"), [(1, "high", 80), (2, "medium", 40), (3, "low", 20)]
)
@pytest.mark.parametrize("taint", ["haircut", "poison", "fifo"])
def test_a_sanctioned_neighbour_is_seen_at_its_distance(
    book: Book, hops: int, level: str, points: int, taint: Method
) -> None:
    way = ["thief", *HOPS[: hops - 1], "alice"]
    txs = [book.pay(a, b) for a, b in pairwise(way)]
    book.say("thief", "sanctioned")
    analysis = book.analyse("alice", 3, taint=taint)
    assert _signals(analysis) == [("sanctioned", "incoming", hops, 100.0, points)]
    assert (analysis.risk_level, analysis.taint) == (level, taint)
    assert _evidence(analysis.signals[0]) == [
        (tx, name, LISTED.format(name, "sanctioned") if name == "thief" else ON)
        for tx, name in zip(txs, way, strict=False)
    ]
    if hops > 1:
        assert book.analyse("alice", hops - 1).signals == []


@pytest.mark.parametrize(("hops", "points"), [(1, 80), (2, 40), (3, 20)])
def test_so_is_one_that_is_paid(book: Book, hops: int, points: int) -> None:
    way = ["alice", *HOPS[: hops - 1], "fence"]
    txs = [book.pay(a, b) for a, b in pairwise(way)]
    book.say("fence", "sanctioned")
    analysis = book.analyse("alice", 3)
    assert _signals(analysis) == [("sanctioned", "outgoing", hops, 100.0, points)]
    assert [each.address for each in analysis.signals[0].evidence] == way[:0:-1]
    assert [each.tx_hash for each in analysis.signals[0].evidence] == txs[::-1]


def test_a_share_is_of_all_that_was_received(book: Book) -> None:
    book.pay("bob", "alice", 80 * 10**18)
    book.pay("thief", "alice", 20 * 10**18)
    book.say("thief", "stolen_funds", confidence=0.8)
    analysis = book.analyse("alice")
    # 85 points × 80 % at one hop × 75 % for a fifth × 80 % sure
    assert _signals(analysis) == [("stolen_funds", "incoming", 1, 20.0, 41)]


def test_money_does_not_come_through_an_exchange(book: Book) -> None:
    book.pay("thief", "exchange")
    book.pay("exchange", "alice")
    book.say("thief", "sanctioned")
    book.say("exchange", "exchange")
    assert book.analyse("alice", 5).signals == []


def test_but_it_does_through_a_person(book: Book) -> None:
    book.pay("thief", "carol")
    book.pay("carol", "alice")
    book.say("thief", "sanctioned")
    book.say("carol", "individual")
    assert _signals(book.analyse("alice", 5)) == [("sanctioned", "incoming", 2, 100.0, 40)]


def test_several_ways_count_together_and_the_widest_are_shown(book: Book) -> None:
    for number in range(6):
        book.pay(f"thief{number}", "carol", (number + 1) * 10**18)
        book.say(f"thief{number}", "scam")
    book.pay("carol", "alice", 21 * 10**18)
    analysis = book.analyse("alice")
    assert _signals(analysis) == [("scam", "incoming", 2, 100.0, 28)]
    shown = [each.address for each in analysis.signals[0].evidence]
    assert shown == ["thief5", "carol", "thief4", "carol", "thief3", "carol"]


def test_a_known_mixer(book: Book) -> None:
    into = book.pay("alice", "mixer")
    book.say("mixer", "mixer")
    out = book.pay("mixer", "bob")
    assert _signals(book.analyse("alice")) == [("mixer", "outgoing", 1, 100.0, 48)]
    assert _evidence(book.analyse("alice").signals[0]) == [
        (into, "mixer", LISTED.format("mixer", "mixer"))
    ]
    assert _signals(book.analyse("bob")) == [("mixer", "incoming", 1, 100.0, 48)]
    assert _evidence(book.analyse("bob").signals[0])[0][0] == out


def test_what_works_like_a_mixer(book: Book) -> None:
    into = [book.pay(f"payer{number}", "pool") for number in range(12)]
    out = [book.pay("pool", f"paid{number}", 0.99 * 10**18) for number in range(12)]
    for side, number, tx in (("payer", 3, into[3]), ("paid", 5, out[5])):
        analysis = book.analyse(f"{side}{number}")
        direction = "outgoing" if side == "payer" else "incoming"
        assert _signals(analysis) == [("mixing", direction, 1, 100.0, 32)]
        assert [each[:2] for each in _evidence(analysis.signals[0])] == [(tx, "pool")]


def test_a_shop_is_no_mixer(book: Book) -> None:
    for number in range(30):
        book.pay(f"customer{number}", "shop", 10**17 * (1 + number % 7))
        book.pay("shop", f"supplier{number % 15}", 3 * 10**16 * (1 + number % 5))
    assert book.analyse("customer3").signals == []
    assert book.analyse("supplier3").signals == []


def test_who_pays_back_those_who_pay_is_no_mixer(book: Book) -> None:
    for number in range(12):
        book.pay(f"saver{number}", "bank")
        book.pay("bank", f"saver{number}")
    assert book.analyse("saver3").signals == []


def test_who_takes_equal_amounts_and_pays_out_others_is_no_mixer(book: Book) -> None:
    for number in range(12):
        book.pay(f"member{number}", "club", 10**18)
        book.pay("club", f"player{number}", 5 * 10**17)
    assert book.analyse("member3").signals == []


def test_a_coinjoin(coins: Book) -> None:
    names = ["alice", "bob", "carol", "dan", "eve"]
    mixed = coins.spend(
        {name: 1_300_000 + 7 * at for at, name in enumerate(names)},
        [
            *((f"{name}-mixed", 1_000_000) for name in names),
            *((f"{name}-change", 300_000 + at) for at, name in enumerate(names)),
        ],
    )
    for name, direction in (("alice", "outgoing"), ("carol-mixed", "incoming")):
        analysis = coins.analyse(name)
        assert _signals(analysis) == [("coinjoin", direction, 1, 100.0, 16)]
        assert [each[:2] for each in _evidence(analysis.signals[0])] == [(mixed, name)]
        assert analysis.clusters[0].size == 1


def test_a_sanctioned_address_of_the_same_owner(coins: Book) -> None:
    coins.spend({"thief": 500_000}, [("fence", 500_000)])
    mixing = dict.fromkeys(("thief", "carol", "dan"), 100_000)  # what joins nobody is not evidence
    coins.spend(mixing, [(f"{name}-mixed", 100_000) for name in mixing])
    joint = coins.spend({"alice": 100_000, "thief": 200_000}, [("bob", 290_000)])
    coins.say("thief", "sanctioned")
    analysis = coins.analyse("alice")
    assert _signals(analysis) == [("sanctioned", "self", 0, 100.0, 90)]
    assert _evidence(analysis.signals[0]) == [
        (joint, "thief", LISTED.format("thief", "sanctioned"))
    ]
    (cluster,) = analysis.clusters
    assert (cluster.size, cluster.label) == (2, "thief the sanctioned")


@pytest.mark.parametrize("kind", ["coins", "accounts"])
def test_a_peel_chain(book: Book, coins: Book, kind: str) -> None:
    left, links = 10**10, []
    chain = book if kind == "accounts" else coins
    for number in range(8):
        here, rest, peel = f"link{number}", f"link{number + 1}", f"shop{number}"
        little = left // 20
        if kind == "accounts":
            chain.pay(here, peel, little)
            links.append(chain.pay(here, rest, left - little))
        else:
            links.append(chain.spend({here: left}, [(peel, little), (rest, left - little)]))
        left -= little
    for number, first in ((0, 0), (4, 2), (8, 3)):
        analysis = chain.analyse(f"link{number}")
        direction = "outgoing" if number < 8 else "incoming"
        assert _signals(analysis) == [("peel_chain", direction, 1, 100.0, 16)]
        assert _evidence(analysis.signals[0]) == [
            (links[at], f"link{at}", f"peel chain, payment {at + 1} of 8")
            for at in range(first, first + 5)
        ]
    assert chain.analyse("shop4").signals == []


def test_a_few_payments_with_change_are_no_peel_chain(coins: Book) -> None:
    for number in range(4):
        coins.spend({f"link{number}": 100}, [(f"shop{number}", 10), (f"link{number + 1}", 90)])
    assert coins.analyse("link2").signals == []


@pytest.mark.parametrize("category", ["sanctioned", "mixer"])
@pytest.mark.parametrize("taint", ["haircut", "poison", "fifo"])
def test_who_is_dusted_is_not_tainted(book: Book, category: str, taint: Method) -> None:
    book.say("thief", category)
    salary = book.pay("employer", "alice", 10**18)
    dust = [book.pay("thief", f"victim{number}", 10**13) for number in range(30)]
    dust.append(book.pay("thief", "alice", 10**13))
    analysis = book.analyse("alice", taint=taint)
    assert analysis.risk_score == 0
    assert [signal.code for signal in analysis.signals] == ["dusting"]
    assert analysis.signals[0].severity == "info"
    assert _evidence(analysis.signals[0]) == [(dust[-1], "thief", "sent as little to 31 addresses")]
    assert book.analyse("victim3", taint=taint).risk_score == 0
    assert salary not in {each.tx_hash for each in analysis.signals[0].evidence}


def test_dust_of_coins_is_told_by_outputs(coins: Book) -> None:
    coins.say("thief", "sanctioned")
    coins.spend({"employer": 10**8}, [("alice", 10**8)])
    spray = [(f"victim{number}", 546) for number in range(30)]
    coins.spend({"thief": 20_000, "thief-too": 20_000}, [*spray, ("alice", 546)])
    analysis = coins.analyse("alice")
    assert (analysis.risk_score, [signal.code for signal in analysis.signals]) == (0, ["dusting"])


def test_a_token_that_nobody_asked_for_is_dust_too(book: Book) -> None:
    book.say("thief", "scam")
    for number in range(1_000):
        book.pay("thief", f"victim{number}", 5_000, "0xtoken")
    book.pay("victim8", "bob", 5_000, "0xtoken")
    assert _signals(book.analyse("victim7")) == [("dusting", "incoming", 1, 100.0, 0)]
    # Whoever passes it on has made it theirs.
    assert _signals(book.analyse("victim8")) == [("scam", "incoming", 1, 100.0, 56)]


def test_dust_makes_no_share_smaller(book: Book) -> None:
    book.say("thief", "scam")
    for number in range(1_000):
        book.pay("advertiser", f"victim{number}", 5_000, "0xtoken")
    book.pay("thief", "victim7", 5_000, "0xtoken")
    assert _signals(book.analyse("victim7"))[0] == ("scam", "incoming", 1, 100.0, 56)


def test_loot_that_is_divided_is_no_dust(book: Book) -> None:
    book.say("thief", "scam")
    for number in range(100):
        book.pay("thief", f"mule{number}", 5_000, "0xtoken")
    assert _signals(book.analyse("mule7")) == [("scam", "incoming", 1, 100.0, 56)]


def test_next_to_nothing_many_times_is_no_dust(book: Book) -> None:
    book.say("thief", "sanctioned")
    for number in range(30):
        book.pay("thief", f"victim{number}", 10**14)
        book.pay("thief", "mule", 10**14)
    assert _signals(book.analyse("mule")) == [("sanctioned", "incoming", 1, 100.0, 80)]
    assert _signals(book.analyse("victim7")) == [("dusting", "incoming", 1, 100.0, 0)]


def test_little_from_a_thief_is_no_dust_when_few_get_it(book: Book) -> None:
    book.say("thief", "sanctioned")
    book.pay("thief", "alice", 10**13)
    assert _signals(book.analyse("alice")) == [("sanctioned", "incoming", 1, 100.0, 80)]


def test_a_hub_is_a_possible_service_and_is_not_walked_through(book: Book) -> None:
    book.pay("thief", "hub")
    for number in range(20):
        book.pay(f"customer{number}", "hub")
    paid = book.pay("hub", "alice")
    book.say("thief", "sanctioned")
    limits = Limits(hub_degree=10)
    analysis = book.analyse("alice", 3, limits=limits)
    assert _signals(analysis) == [("possible_service", "incoming", 1, 100.0, 0)]
    assert _evidence(analysis.signals[0]) == [(paid, "hub", "has 22 transactions")]
    assert (analysis.truncated, analysis.risk_level) == (True, "unknown")
    assert analysis.clusters[1].category == "possible_service"
    # Beyond its limit nothing is known; within it, money is followed.
    assert _signals(book.analyse("alice", 3))[0][:3] == ("sanctioned", "incoming", 2)
    # The hub itself is walked from, and said to be one.
    assert ("possible_service", "self", 0, 100.0, 0) in _signals(book.analyse("hub", limits=limits))


def test_a_hub_that_is_known_is_no_guess(book: Book) -> None:
    for number in range(20):
        book.pay(f"customer{number}", "hub")
    book.pay("hub", "alice")
    book.say("hub", "exchange")
    analysis = book.analyse("alice", limits=Limits(hub_degree=10))
    assert analysis.signals == []


def test_what_customers_bring_does_not_accuse_an_exchange(book: Book) -> None:
    book.pay("thief", "exchange")
    book.say("thief", "sanctioned")
    book.say("exchange", "exchange")
    analysis = book.analyse("exchange")
    assert _signals(analysis) == [("sanctioned", "incoming", 1, 100.0, 0)]
    assert analysis.risk_level == "unknown"


def test_but_it_does_a_mixer(book: Book) -> None:
    book.pay("thief", "mixer")
    book.say("thief", "sanctioned")
    book.say("mixer", "mixer")
    assert _signals(book.analyse("mixer")) == [
        ("sanctioned", "incoming", 1, 100.0, 57),
        ("mixer", "self", 0, 100.0, 43),
    ]


def test_an_address_on_a_list_but_in_no_transaction(book: Book) -> None:
    book.pay("alice", "bob")
    book.say("thief", "sanctioned")
    analysis = analyse(book.graph, book.said, "thief", 2, chain="ethereum")
    assert (analysis.risk_score, analysis.clusters[0].label) == (100, "thief the sanctioned")
    assert [each.tx_hash for each in analysis.signals[0].evidence] == [None]


def test_an_address_that_the_data_do_not_hold_has_no_score(book: Book) -> None:
    book.pay("alice", "bob")
    with pytest.raises(NotFound):
        book.analyse("carol")


@pytest.mark.parametrize("hops", [0, 6, -1, 10**9])
def test_hops_beyond_the_limit_are_refused(book: Book, hops: int) -> None:
    book.pay("alice", "bob")
    with pytest.raises(InvalidRequest, match=r"from 1 to 5"):
        book.analyse("alice", hops)


@pytest.mark.parametrize("chain", ["ethereum", "bitcoin"])
def test_no_signal_on_a_thousand_clean_addresses(book: Book, coins: Book, chain: str) -> None:
    """They pay each other, an exchange and shops. Harm is elsewhere, and has no way to them."""
    random = Random(20240301)  # noqa: S311 - to be the same each time
    here = book if chain == "ethereum" else coins
    clean = [f"clean{number}" for number in range(1000)]
    bad = [f"bad{number}" for number in range(50)]
    here.say("exchange", "exchange")
    for name in bad:
        here.say(name, random.choice(["sanctioned", "mixer", "scam", "ransomware"]))
    for _ in range(6000):
        group = bad if random.random() < 0.05 else [*clean, *["exchange"] * 100]
        one, other, third = random.sample(group, 3)
        amount = random.randrange(10**5, 10**8)
        if chain == "ethereum":
            here.pay(one, other, amount * 10**10)
        else:
            here.spend({one: amount}, [(other, amount // 2), (third, amount // 3)])
    signals = {name: here.analyse(name, 2).signals for name in clean}
    assert {name: found for name, found in signals.items() if found} == {}
