"""What is known of a query before it runs, found out once: the same text again has it at hand.

Theory of operation. The statement is looked at by the guard, bound for its columns, and wrapped in
one that encodes its rows. Of that DuckDB is asked for its plan, with a question added for each
column: whether its value is missing. Where the statistics of the tables say that it never is,
DuckDB's optimiser has answered the question itself, and the plan has `false` in its place. So
what is told to be never null is what DuckDB itself relies on, and no guess of ours.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Set
from math import prod
from threading import Lock
from typing import Any, NamedTuple

import duckdb
import msgspec

from lbproto_query_worker.encoding import described, wrapped
from lbproto_query_worker.frames import Column, Open
from lbproto_query_worker.guard import check, counts
from lbproto_query_worker.refusals import Refusal

__all__ = ["Plan", "Plans"]

_MAX_COLUMNS = 2000
_MAX_PLAN_LENGTH = 16 * 1024  # characters of a plan that is kept, and of what was asked

# What a plan says of now is not true later.
_CLOCK = re.compile(r"(?i)now|current_|today|tomorrow|yesterday|transaction_timestamp|\bage\b")

_LIMITING = frozenset({"LIMIT", "STREAMING_LIMIT"})
# What hands each row on as it gets it, and so stops as soon as nobody wants more.
_STREAMING = _LIMITING | {"FILTER", "PROJECTION", "UNION", "UNNEST"}
# What compares every row of one side with every row of the other.
_PAIRING = frozenset({"BLOCKWISE_NL_JOIN", "NESTED_LOOP_JOIN"})
_ENCODING = 50  # rows that may pass an operator while one is encoded, about, as measured
_MAX_WORK = 2**62


class Plan(NamedTuple):
    """A query that may run.

    `text` is its statement, wrapped; `scanned` how many rows its tables are taken to have; `work`
    how many pass its operators, all of them together, with those that are encoded weighed.
    """

    text: str
    columns: list[Column]
    scanned: int
    work: int


class Plans:
    """Plans of one catalogue's queries; of any thread.

    Args:
        tables: the tables there are, `lowered`.
        most: plans that are kept; the one not asked for for longest is forgotten.
    """

    def __init__(self, tables: Set[str], most: int = 128) -> None:
        self._tables = tables
        self._most = most
        self._kept: OrderedDict[tuple[str, str, bool, int], Plan] = OrderedDict()
        self._lock = Lock()

    def find(self, cursor: duckdb.DuckDBPyConnection, request: Open) -> Plan:
        """The plan of a query.

        Args:
            cursor: what it is asked of; nothing else may use it meanwhile.
            request: the query; its parameters count, as they may decide what a column is.

        Raises:
            Refusal, duckdb.Error: it may not run, or cannot.
        """
        # `repr` tells 1, 1.0, True and '1' apart, which are not the same to DuckDB.
        key = (request.sql, repr(request.params), request.arrays, request.rows)
        with self._lock:
            if plan := self._kept.get(key):
                self._kept.move_to_end(key)
                return plan
        plan = _found(cursor, request, self._tables)
        length = len(request.sql) + len(key[1]) + len(plan.text)
        # No work: DuckDB has not told, which may have been for want of memory or time.
        if plan.work and length <= _MAX_PLAN_LENGTH and not _CLOCK.search(request.sql):
            with self._lock:
                self._kept[key] = plan
                if len(self._kept) > self._most:
                    self._kept.popitem(last=False)
        return plan


def _found(cursor: duckdb.DuckDBPyConnection, request: Open, tables: Set[str]) -> Plan:
    params = request.params or None
    syntax = check(cursor, request.sql, tables)
    relation = cursor.sql(request.sql, params=params)
    names, types = relation.columns, relation.types
    del relation
    if len(types) > _MAX_COLUMNS:
        raise Refusal("LIMIT_EXCEEDED", f"A result has at most {_MAX_COLUMNS} columns")
    sql = _statement(request.sql)
    columns = described(names, types)
    text = wrapped(sql, columns, types, request.arrays)
    asked = wrapped(sql, columns, types, request.arrays, asking=True)
    root = _explained(cursor, asked, params)
    if root is None:
        return Plan(text, columns, 0, 0)
    answers = root.get("extra_info", {}).get("Projections")
    if isinstance(answers, list) and len(answers) == len(columns) + 1:
        counted = counts(syntax)
        for place, (column, answer) in enumerate(zip(columns, answers[1:], strict=True)):
            if answer == "false" or place in counted:
                columns[place] = msgspec.structs.replace(column, nullable=False)
    return Plan(text, columns, _scanned(root), _work(root, request.rows))


def _statement(sql: str) -> str:
    """The statement without what ends it, so that it can stand in brackets."""
    text = sql.encode()
    for place, kind in reversed(duckdb.tokenize(sql)):
        if kind is duckdb.token_type.comment or text[place : place + 1] == b";":
            text = text[:place]
        else:
            break
    return text.decode()


def _explained(
    cursor: duckdb.DuckDBPyConnection, sql: str, params: list[Any] | dict[str, Any] | None
) -> dict[str, Any] | None:
    """The plan's topmost operator, if DuckDB tells of it."""
    try:
        row = cursor.execute(f"EXPLAIN (FORMAT json) {sql}", params).fetchone()
        root: dict[str, Any] | None = json.loads(row[1])[0] if row else None
    except (duckdb.Error, ValueError, RecursionError):
        return None  # if anything is wrong with the query, running it says so
    return root


def _rows(node: dict[str, Any]) -> int:
    """How many rows an operator is taken to make."""
    return int(node.get("extra_info", {}).get("Estimated Cardinality", "0"))


def _scanned(root: dict[str, Any]) -> int:
    total, pending = 0, [root]
    while pending:
        node = pending.pop()
        pending += node["children"]
        if not node["children"]:
            total += _rows(node)
    return total


def _work(root: dict[str, Any], most: int) -> int:
    """See `Plan`, if no more than `most` rows are wanted."""
    wanted = min(_rows(root), most)
    total = float(_ENCODING * wanted)
    pending = [(root, wanted / max(1, _rows(root)))]
    while pending:
        node, share = pending.pop()
        rows, children = _rows(node), node["children"]
        if node["name"] in _PAIRING:
            rows = prod(map(_rows, children))
        total += share * rows
        if node["name"] not in _STREAMING:
            share = 1.0
        elif node["name"] in _LIMITING:
            share = min(1.0, share * rows / max(1, _rows(children[0])))
        pending += [(child, share) for child in children]
    return int(min(total, _MAX_WORK))
