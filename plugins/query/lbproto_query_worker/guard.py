"""What may be run: one SELECT that reads the catalogue's tables and calls functions of a list.

The text is parsed by DuckDB and by nothing else; what is looked at is its own syntax tree. Whatever
is not known to be harmless is refused, so that a newer DuckDB's inventions are, too.
"""

from __future__ import annotations

import re
from collections.abc import Set
from typing import Any

import duckdb
import msgspec

from lbproto_query_worker.functions import FUNCTIONS, TABLE_FUNCTIONS
from lbproto_query_worker.refusals import Refusal

__all__ = ["MAX_DEPTH", "check", "counts", "lowered"]

MAX_DEPTH = 200
"""How deeply brackets may be nested, and expressions."""

_LONGEST_NAME = 16  # parts of a dotted name: DuckDB needs the square of them

_CLASSES = """
BETWEEN CASE CAST COLLATE COLUMN_REF COMPARISON CONJUNCTION CONSTANT FUNCTION LAMBDA OPERATOR
PARAMETER POSITIONAL_REFERENCE STAR SUBQUERY TYPE WINDOW
"""
_NODES = """
SELECT_NODE SET_OPERATION_NODE RECURSIVE_CTE_NODE BASE_TABLE EMPTY EXPRESSION_LIST JOIN PIVOT
SUBQUERY TABLE_FUNCTION LIMIT_MODIFIER LIMIT_PERCENT_MODIFIER ORDER_MODIFIER DISTINCT_MODIFIER
ORDER_DEFAULT ASCENDING DESCENDING
"""
_ALLOWED_CLASSES, _ALLOWED_NODES = frozenset(_CLASSES.split()), frozenset(_NODES.split())
_CALLABLE = FUNCTIONS | TABLE_FUNCTIONS
_COUNTS = frozenset({"count", "count_star"})
# They follow their second argument as deep as it goes, and so end the process: it has to be known.
_STRUCTURED = frozenset(
    {"from_json", "from_json_strict", "json_transform", "json_transform_strict"}
)
_TABLE_NAME = re.compile(r"[\w $-]+")
_DOTTED = re.compile(rf"(?:\.\s*[\w\"]+\s*){{{_LONGEST_NAME},}}")

_Scope = frozenset[str]


class _Syntax(msgspec.Struct):
    error: bool
    statements: list[dict[str, Any]] = []
    error_type: str = ""
    error_message: str = ""


_DECODER = msgspec.json.Decoder(_Syntax)


def _check_text(sql: str) -> None:
    """Refuse what parsing itself could take too long for, or too deep a stack."""
    depth = 0
    for each in re.findall(r"[()\[\]{}]", sql):
        depth += 1 if each in "([{" else -1
        if depth > MAX_DEPTH:
            raise Refusal("LIMIT_EXCEEDED", "The query is nested too deeply")
    if _DOTTED.search(sql):
        raise Refusal("LIMIT_EXCEEDED", "A name in the query has too many parts")


def check(connection: duckdb.DuckDBPyConnection, sql: str, tables: Set[str]) -> dict[str, Any]:
    """The syntax tree of `sql`, which is one SELECT of what is allowed.

    Args:
        connection: whose parser it is.
        sql: any text.
        tables: the tables there are, `lowered`.

    Raises:
        Refusal: it is anything else.
    """
    _check_text(sql)
    row = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchone()
    syntax = _DECODER.decode(row[0] if row else "")
    if syntax.error:
        raise _unparsed(syntax)
    if not syntax.statements:
        raise Refusal("INVALID_REQUEST", "There is no statement")
    if len(syntax.statements) > 1:
        raise Refusal("UNAUTHORIZED", "Only one statement is allowed")
    root: dict[str, Any] = syntax.statements[0]["node"]
    _walk(root, tables)
    return root


def counts(root: dict[str, Any]) -> frozenset[int]:
    """Which columns of a SELECT count rows, and so are never null; their places from 0."""
    items = root.get("select_list", [])
    pending = list(items)
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending += node
        elif isinstance(node, dict):
            if node.get("type") == "STAR" or lowered(node.get("function_name", "")) == "unnest":
                return frozenset()  # which may be several columns, or none
            pending += node.values()
    return frozenset(
        place
        for place, each in enumerate(items)
        if lowered(each.get("function_name", "")) in _COUNTS
    )


def _unparsed(syntax: _Syntax) -> Refusal:
    if "depth limit" in syntax.error_message:
        return Refusal("LIMIT_EXCEEDED", "The query is nested too deeply")
    if syntax.error_type == "not implemented":
        return Refusal("UNAUTHORIZED", "Only one SELECT that reads is allowed")
    return Refusal("INVALID_REQUEST", syntax.error_message.split("\n", 1)[0][:300])


def _walk(root: dict[str, Any], tables: Set[str]) -> None:
    # With a stack of its own: the tree is as deep as its author likes. Each node has the names of
    # the CTEs that it sees, or else the name of one would open a system table elsewhere.
    pending: list[tuple[Any, _Scope]] = [(root, frozenset())]
    while pending:
        node, scope = pending.pop()
        if isinstance(node, list):
            pending += [(each, scope) for each in node]
        if not isinstance(node, dict):
            continue
        _check_node(node, scope, tables)
        if node.get("class") == "CONSTANT":
            continue
        inner = scope
        ctes = node.get("cte_map")
        if isinstance(ctes, dict):
            for entry in ctes["map"]:
                pending.append((entry["value"], inner))
                inner |= {lowered(entry["key"])}
        itself = {lowered(node["cte_name"])} if node.get("type") == "RECURSIVE_CTE_NODE" else set()
        for key, value in node.items():
            if key != "cte_map":
                pending.append((value, inner | itself if key == "right" else inner))


def lowered(name: str) -> str:
    """A name as DuckDB compares it: letters of ASCII alone have no case."""
    return name.encode().lower().decode()


def _check_node(node: dict[str, Any], scope: _Scope, tables: Set[str]) -> None:
    kind, class_ = node.get("type"), node.get("class")
    if not isinstance(kind, str):
        return
    if class_ is not None:
        if class_ not in _ALLOWED_CLASSES:
            raise Refusal("UNAUTHORIZED", f"The query has what is not allowed: {kind}")
        if class_ in ("FUNCTION", "WINDOW"):
            _check_function(node)
        elif class_ == "TYPE":
            _check_type(node)
    elif kind not in _ALLOWED_NODES:
        raise Refusal("UNAUTHORIZED", f"The query has what is not allowed: {kind}")
    elif kind == "TABLE_FUNCTION":
        name = node["function"].get("function_name", "")
        if lowered(name) not in TABLE_FUNCTIONS:
            raise Refusal("UNAUTHORIZED", f"The table function {name[:64]} is not allowed")
    elif kind == "BASE_TABLE":
        _check_table(node, scope, tables)


def _check_function(node: dict[str, Any]) -> None:
    name, path = node["function_name"], node["qualified_name"]["path"]
    if lowered(name) not in _CALLABLE or path != [name]:
        raise Refusal("UNAUTHORIZED", f"The function {name[:64]} is not allowed")
    if lowered(name) in _STRUCTURED:
        for argument in node["arguments"][1:]:
            if argument["expression"]["class"] != "CONSTANT":
                raise Refusal("UNAUTHORIZED", f"The structure for {name} has to be a literal")
            _check_text(str(argument["expression"]["literal"].get("text", "")))


def _check_type(node: dict[str, Any]) -> None:
    if node["schema"] or node["catalog"]:
        raise Refusal("NOT_FOUND", "There are no types but DuckDB's own")
    if lowered(node["type_name"]) == "variant":  # of JSON that is too deep it ends the process
        raise Refusal("UNAUTHORIZED", "The type VARIANT cannot be made here")


def _check_table(node: dict[str, Any], scope: _Scope, tables: Set[str]) -> None:
    name, path = node["table_name"], node["qualified_name"]["path"]
    if path == [name] and lowered(name) in scope | tables and node["at_clause"] is None:
        return
    if not all(_TABLE_NAME.fullmatch(part) for part in path):
        raise Refusal("UNAUTHORIZED", "Files and addresses cannot be read")
    raise Refusal("NOT_FOUND", f"There is no table {'.'.join(path)[:64]}")
