"""The payments of a snapshot as arrays: sorted, numbered and joined by DuckDB.

That may use the disk. In memory there are only the arrays themselves: text is fetched in pieces.
"""

from __future__ import annotations

import logging
from math import isqrt
from typing import Any

import numpy as np
from duckdb import DuckDBPyConnection
from numpy.typing import NDArray

from lbproto_compliance.chains import CHAINS
from lbproto_compliance.graph.flows import Flows
from lbproto_compliance.store.database import connect
from lbproto_compliance.store.manifest import Layout, Manifest

__all__ = ["MAX_EDGES", "read_flows"]

logger = logging.getLogger(__name__)

MAX_EDGES = 10_000
"""Of one transaction. Where its payers times its payees are more, the smallest are left out."""

_MAX_ASSETS = 32_767
_OTHER = "other"

_PIECE = 500_000

# Transactions and addresses get their positions in the order that `Flows` promises.
_NUMBERED = """
    CREATE TEMP TABLE txs AS
    SELECT tx_hash, (row_number() OVER (ORDER BY height, tx_index, tx_hash) - 1)::INTEGER AS tx,
        epoch(timestamp)::BIGINT AS time
    FROM (
        SELECT tx_hash, min(height) AS height, min(tx_index) AS tx_index,
            min(timestamp) AS timestamp
        FROM payments GROUP BY tx_hash
    );
    CREATE TEMP TABLE nodes AS
    SELECT address, (row_number() OVER (ORDER BY address) - 1)::INTEGER AS node
    FROM ({}) WHERE address IS NOT NULL
"""

# Values as floating-point numbers: the graph says about how much, the movements say exactly.
_TRANSFERS = f"""
    CREATE TEMP TABLE kinds AS
    SELECT asset, least(row_number() OVER (ORDER BY count(*) DESC, asset) - 1,
        {_MAX_ASSETS - 1})::SMALLINT AS kind
    FROM payments GROUP BY asset;
    CREATE TEMP VIEW edges AS
    SELECT sources.node AS source, targets.node AS target, tx, value::DOUBLE AS amount, kind
    FROM payments
    JOIN txs USING (tx_hash) JOIN kinds USING (asset)
    JOIN nodes sources ON sources.address = sender
    JOIN nodes targets ON targets.address = receiver
    WHERE value::DOUBLE > 0
    ORDER BY tx, position
"""  # noqa: S608 - numbers of ours

# A payer's share is in proportion to what it puts in, where all of that is known, else one in so
# many inputs. What has no address takes its share too, and is not a node.
_COINS = """
    CREATE TEMP TABLE sides AS
    SELECT tx, side, node, sum(value)::DOUBLE AS value, count(*) AS coins,
        bool_or(value IS NULL) AS untold
    FROM payments JOIN txs USING (tx_hash) LEFT JOIN nodes USING (address)
    GROUP BY tx, side, node;
    CREATE TEMP TABLE payers AS
    SELECT tx, node,
        CASE
            WHEN bool_or(untold) OVER spent OR sum(value) OVER spent = 0
            THEN coins / sum(coins) OVER spent
            ELSE value / sum(value) OVER spent
        END AS share
    FROM sides WHERE side = 'in'
    WINDOW spent AS (PARTITION BY tx);
    CREATE TEMP TABLE pairs AS
    SELECT tx, payers, payees,
        -- of the payers; a few of many, or many of a few
        least(payers, greatest(getvariable('most') // payees, getvariable('root'))) AS kept
    FROM (
        SELECT tx, count(*) FILTER (side = 'in') AS payers,
            count(*) FILTER (side = 'out' AND value > 0) AS payees
        FROM sides WHERE node IS NOT NULL GROUP BY tx
    )
    WHERE payers > 0 AND payees > 0;
    CREATE TEMP VIEW edges AS
    SELECT payers.node AS source, payees.node AS target, tx, share * value AS amount,
        0::SMALLINT AS kind
    FROM (
        SELECT *, row_number() OVER (PARTITION BY tx ORDER BY share DESC, node) AS place
        FROM payers WHERE node IS NOT NULL
    ) AS payers
    JOIN (
        SELECT *, row_number() OVER (PARTITION BY tx ORDER BY value DESC, node) AS place
        FROM sides WHERE side = 'out' AND value > 0 AND node IS NOT NULL
    ) AS payees USING (tx)
    JOIN pairs USING (tx)
    WHERE payers.place <= kept AND payees.place <= getvariable('most') // kept
    ORDER BY tx, source, target
"""


def read_flows(layout: Layout, manifest: Manifest) -> Flows:
    """The payments of a snapshot; blocks, for minutes where there are many millions.

    Where a transaction has more than `MAX_EDGES` pairs of a payer and a payee, those of the
    largest shares and amounts are kept, as they are: what the others move is not handed on to them.
    How many transactions that concerns is in the log.

    Args:
        layout: of the chain.
        manifest: the snapshot's.
    """
    chain = CHAINS[manifest.chain]
    coins = chain.kind == "coins"
    with connect(layout.directory) as connection:
        reader = _Reader(connection)
        parts = layout.paths(manifest.of("coins" if coins else "transfers"))
        if not parts:
            return _nothing(chain.asset)
        connection.execute("SET VARIABLE parts = ?", [parts])
        connection.execute("SET VARIABLE most = ?", [MAX_EDGES])
        connection.execute("SET VARIABLE root = ?", [isqrt(MAX_EDGES)])
        connection.execute("CREATE TEMP VIEW payments AS FROM read_parquet(getvariable('parts'))")
        if coins:
            return _coins(reader, chain.asset)
        return _transfers(reader)


class _Reader:
    def __init__(self, connection: DuckDBPyConnection) -> None:
        self._connection = connection

    def run(self, statements: str) -> None:
        self._connection.execute(statements)

    def columns(self, rows: str) -> dict[str, NDArray[Any]]:
        return self._connection.execute(rows).fetchnumpy()

    def value(self, question: str, *given: Any) -> Any:
        ((answer,),) = self._connection.execute(question, given).fetchall()
        return answer

    def texts(self, table: str, text: str, number: str) -> NDArray[np.bytes_]:
        """A column of ASCII text in the order of a column that counts from 0."""
        count, width = self._connection.execute(
            f"SELECT count(*), max(length({text})) FROM {table}"  # noqa: S608 - names of ours
        ).fetchall()[0]
        found = np.empty(count, dtype=f"S{width or 1}")
        for start in range(0, count, _PIECE):
            piece = self._connection.execute(
                f"""
                SELECT {text} FROM {table} WHERE {number} >= ? AND {number} < ? ORDER BY {number}
                """,  # noqa: S608 - names of ours
                [start, start + _PIECE],
            ).fetchnumpy()[text]
            found[start : start + len(piece)] = np.asarray(piece, dtype=found.dtype)
        return found


def _transfers(reader: _Reader) -> Flows:
    reader.run(
        _NUMBERED.format(
            "SELECT sender AS address FROM payments UNION SELECT receiver FROM payments"
        )
    )
    reader.run(_TRANSFERS)
    names = reader.columns("SELECT asset FROM kinds ORDER BY kind, asset")["asset"]
    assets = [str(name) for name in names[:_MAX_ASSETS]]
    if len(names) > _MAX_ASSETS:
        logger.warning(
            "the %d rarest assets of %d are one in the graph: %r",
            len(names) - _MAX_ASSETS + 1,
            len(names),
            _OTHER,
        )
        assets[-1] = _OTHER
    return _flows(reader, tuple(assets))


def _coins(reader: _Reader, asset: str) -> Flows:
    reader.run(_NUMBERED.format("SELECT DISTINCT address FROM payments"))
    reader.run(_COINS)
    wide = reader.value("SELECT count(*) FROM pairs WHERE payers * payees > ?", MAX_EDGES)
    if wide:
        logger.warning(
            "%d transactions have more than %d pairs of a payer and a payee: the graph has the "
            "largest of these",
            wide,
            MAX_EDGES,
        )
    inputs = reader.columns(
        "SELECT tx, node FROM sides WHERE side = 'in' AND node IS NOT NULL ORDER BY tx, node"
    )
    outputs = reader.columns(
        """
        SELECT tx, node, value::DOUBLE AS value
        FROM payments JOIN txs USING (tx_hash) JOIN nodes USING (address)
        WHERE side = 'out' ORDER BY tx, position
        """
    )
    return _flows(reader, (asset,), inputs["tx"], inputs["node"], *outputs.values())


def _flows(reader: _Reader, assets: tuple[str, ...], *sides: NDArray[Any]) -> Flows:
    edges = reader.columns("FROM edges")
    return Flows(
        reader.texts("nodes", "address", "node"),
        reader.texts("txs", "tx_hash", "tx"),
        reader.columns("SELECT time FROM txs ORDER BY tx")["time"],
        edges["source"],
        edges["target"],
        edges["tx"],
        edges["amount"],
        edges["kind"],
        assets,
        *sides,
    )


def _nothing(asset: str) -> Flows:
    none = np.empty(0, dtype=np.int32)
    text = np.empty(0, dtype="S1")
    return Flows(
        text,
        text,
        np.empty(0, dtype=np.int64),
        none,
        none,
        none,
        np.empty(0, dtype=np.float64),
        np.empty(0, dtype=np.int16),
        (asset,),
    )
