"""Follows money from where it was through those who passed it on, payment by payment.

Payments are taken in the chain's order. Who paid is one of

    a source      all it pays is traced from it, whatever it received
    followed      pays out of what it holds (`holdings`), which keeps the tags of what came in
    anybody else  pays what is of no known origin

The data do not tell what an address held before they begin. Each that is followed opens with the
least that explains all its payments, and that is of no known origin: neither is a payment without
money behind it made up, nor does anything that is not seen count as tainted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple, TypeAlias

from lbproto_compliance.analysis.holdings import HOLDINGS, Holdings, Parts, Tag
from lbproto_compliance.analysis.report import Method

__all__ = ["Arrival", "Payment", "trace"]

_BETWEEN_STEPS = 4096
"""Payments; some milliseconds."""

_Account: TypeAlias = tuple[int, int]  # node, asset


class Payment(NamedTuple):
    """Who pays whom, by which transaction, of which asset, how much in base units."""

    source: int
    target: int
    tx: int
    asset: int
    amount: int


class Arrival(NamedTuple):
    """What one payment brought of one origin.

    Attributes:
        origin: the source.
        target: where it arrived.
        hops: payments on the way.
        asset: which.
        amount: in base units.
        path: those payments by position, from the source on; those that came first where several
            did.
    """

    origin: int
    target: int
    hops: int
    asset: int
    amount: int
    path: tuple[int, ...]


def trace(
    payments: Sequence[Payment],
    *,
    sources: Collection[int],
    followed: Collection[int],
    targets: Collection[int],
    hops: int,
    method: Method,
    step: Callable[[float], None] = lambda _: None,
) -> Iterator[Arrival]:
    """Everything that comes from a source and arrives at a target.

    Args:
        payments: in order, each of more than 0; all of those that are followed.
        sources: nodes.
        followed: nodes; none of the others.
        targets: nodes; what arrives there is not followed any further.
        hops: how many payments a path has at most.
        method: which part of what it holds an address pays with.
        step: called now and then with how much is done, 0 to 1; it may raise to end it.
    """
    holdings = {
        account: HOLDINGS[method](opening)
        for account, opening in _openings(payments, frozenset(followed)).items()
    }
    came: dict[tuple[_Account, Tag], int] = {}  # by which payment first
    for position, payment in enumerate(payments):
        if not position % _BETWEEN_STEPS:
            step(position / len(payments))
        source, target, _, asset, amount = payment
        parts = _pay(holdings.get((source, asset)), payment, source in sources, hops)
        receiver = (target, asset)
        if target in targets:
            for tag, part in parts.items():
                path = _path(payments, came, position, tag)
                yield Arrival(tag.origin, target, tag.hops, asset, part, path)
        elif receiver in holdings:
            holdings[receiver].put(amount, parts)
            for tag in parts:
                came.setdefault((receiver, tag), position)


def _openings(payments: Sequence[Payment], followed: Collection[int]) -> dict[_Account, int]:
    """The least that each account must have held before the first payment."""
    balances: dict[_Account, int] = {}
    openings: dict[_Account, int] = {}
    for source, target, _, asset, amount in payments:
        if source in followed:
            account = (source, asset)
            balance = balances[account] = balances.get(account, 0) - amount
            openings[account] = max(openings.get(account, 0), -balance)
        if target in followed:
            account = (target, asset)
            balances[account] = balances.get(account, 0) + amount
            openings.setdefault(account, 0)
    return openings


def _pay(holdings: Holdings | None, payment: Payment, is_source: bool, hops: int) -> Parts:
    if is_source:
        return {Tag(payment.source, 1): payment.amount}
    if holdings is None:
        return {}
    taken = holdings.take(payment.amount)
    return {Tag(tag.origin, tag.hops + 1): part for tag, part in taken.items() if tag.hops < hops}


def _path(
    payments: Sequence[Payment], came: dict[tuple[_Account, Tag], int], last: int, tag: Tag
) -> tuple[int, ...]:
    """Back from the payment that arrived: the tag was one hop younger at whoever paid it."""
    path = [last]
    for hops in range(tag.hops - 1, 0, -1):
        payment = payments[path[-1]]
        path.append(came[(payment.source, payment.asset), Tag(tag.origin, hops)])
    return tuple(reversed(path))
