"""What backends can do, as a table: rows are groups of tests, columns are backends."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Literal

__all__ = ["GROUPS", "Matrix", "Outcome", "group_of"]

Outcome = Literal["passed", "failed", "not offered", "not tried"]

GROUPS: dict[str, dict[str, tuple[str, ...]]] = {
    "storage": {
        "records": ("a_key_nobody", "what_was_put_is", "any_", "putting_again", "deleting"),
        "claims: new records only": ("only_what_is_not", "one_of_many"),
        "times to live": ("a_record_is_gone", "putting_again_replaces_the_time", "a_key_may"),
        "counters": ("counting", "only_integers", "no_count"),
        "children of a parent": ("the_children", "any_parent", "no_more_children"),
        "cancelled callers": ("whoever_is",),
        "durable": ("what_one_has_written",),
    },
    "pub/sub": {
        "messages": ("a_message", "a_node_never", "only_subscribed", "messages_come", "any_bytes"),
        "subscriptions": (
            *("what_was_published", "unsubscribing", "subscribing", "many_subscribe"),
            *("whoever_changes", "what_a_subscriber"),
        ),
        "cancelled callers": ("whoever_is",),
        "overload and recovery": ("nothing_is_lost", "it_"),
        "log: what was missed": (
            *("a_position", "what_another", "whoever_goes", "only_what_is_kept"),
            *("what_is_in_one", "what_is_not_given", "whoever_catches", "what_is_no_position"),
        ),
    },
    "limits": {
        "windows and bursts": ("what_is_let", "a_burst", "what_one_window", "whoever_waits"),
        "users apart": ("users_do",),
        "tiers that change": ("what_was_used", "proportions"),
        "any sequence of requests": ("any_sequence",),
        "nodes count together": ("nodes_count", "many_at"),
        "cancelled callers": ("whoever_is",),
    },
    "ledger": {
        "accounts and movements": (
            *("an_account_nobody", "what_a_change", "moments", "history", "a_hundred"),
            *("accounts_are", "any_id", "an_id_with"),
        ),
        "idempotent commands": ("a_command_again", "another_command", "transaction_ids"),
        "reservations": ("two_phases", "a_reservation", "of_a_transaction", "too_little"),
        "grants and expiry": ("lots", "what_is_left", "an_id_that"),
        "spenders together": ("many_", "two_nodes", "accounts_do_not_mix", "any_interleaving"),
        "changes as a whole": ("what_raises", "a_change_is", "who_has"),
        "closed, crashed, opened": ("opened_again", "after_a_crash", "what_is_under"),
    },
}
"""The groups of each port: how the names of their tests begin; the longest beginning decides."""


def group_of(port: str, test: str) -> str:
    """The group of a test of the suites, by its name without `test_`; "other" for none."""
    found = [
        (len(beginning), group)
        for group, beginnings in GROUPS[port].items()
        for beginning in beginnings
        if test.startswith(beginning)
    ]
    return max(found)[1] if found else "other"


class Matrix:
    """Outcomes by backend, port and group of tests.

    Args:
        backends: the columns.
    """

    def __init__(self, backends: Sequence[str]) -> None:
        self._backends = backends
        self._outcomes: dict[tuple[str, str, str], Counter[Outcome]] = defaultdict(Counter)

    def add(self, backend: str, port: str, test: str, outcome: Outcome) -> None:
        """Count a test; its name without `test_`."""
        self._outcomes[port, group_of(port, test), backend][outcome] += 1

    def lines(self) -> Iterator[str]:
        """The table, a line each; what was not run is left out."""
        rows: list[list[str]] = [["", *self._backends]]
        for port, groups in GROUPS.items():
            for group in (*groups, "other"):
                cells = [self._outcomes.get((port, group, each)) for each in self._backends]
                if any(cells):
                    rows.append([f"{port}: {group}", *map(_cell, cells)])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            yield "  ".join(map(str.ljust, row, widths)).rstrip()


def _cell(outcomes: Counter[Outcome] | None) -> str:
    if not outcomes:
        return "-"
    failed, passed = outcomes["failed"], outcomes["passed"]
    if failed:
        return f"no ({failed} of {failed + passed} fail)"
    if passed:
        return f"yes ({outcomes['not tried']} not tried)" if outcomes["not tried"] else "yes"
    return "not tried" if outcomes["not tried"] else "not offered"
