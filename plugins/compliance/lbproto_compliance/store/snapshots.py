"""Reading a snapshot: the movements of an address, page by page, and who is who."""

from __future__ import annotations

from datetime import datetime
from itertools import starmap
from threading import Lock
from typing import Literal, NamedTuple

from lbproto_compliance.graph import Flows, Graph, build
from lbproto_compliance.sources import Attribution
from lbproto_compliance.store.database import connect
from lbproto_compliance.store.flows import read_flows
from lbproto_compliance.store.manifest import Layout, Manifest

__all__ = ["Direction", "Key", "Movement", "Snapshot"]

Direction = Literal["in", "out", "self"]


class Key(NamedTuple):
    """A place among the movements of an address.

    Attributes:
        height: of the block.
        tx_index: position of the transaction in it.
        asset: what moved.
    """

    height: int
    tx_index: int
    asset: str


class Movement(NamedTuple):
    """What one transaction did to one address, in one asset.

    Attributes:
        address: whose.
        height: of the block.
        timestamp: of the block; UTC, naive.
        tx_index: position of the transaction in the block.
        tx_hash: of the transaction.
        direction: `in` where the address has gained, `out` where it has paid (less what came back
            to it), `self` where nobody else took part, or it has neither gained nor paid.
        asset: symbol of the chain's own, contract address of a token.
        value: how much: decimal, in base units; None where the value of an input is not known.
        counterparties: who paid, or was paid: at most 20, on chains of coins those of most first.
    """

    address: str
    height: int
    timestamp: datetime
    tx_index: int
    tx_hash: str
    direction: Direction
    asset: str
    value: str | None
    counterparties: list[str]

    @property
    def key(self) -> Key:
        """Its place."""
        return Key(self.height, self.tx_index, self.asset)


class Snapshot:
    """A chain's data as they were after one import; it never changes. Everything blocks.

    Any thread may call it, and several at once.

    Args:
        layout: of the chain.
        id_: the snapshot's.

    Raises:
        NotFound: there is no such snapshot, or no more.
    """

    def __init__(self, layout: Layout, id_: str) -> None:
        self.id = id_
        """32 hexadecimal digits: a digest of all there is in it."""
        self.manifest: Manifest = layout.read(id_)
        """What it is made of."""
        self._layout = layout
        self._connection = connect(layout.directory)
        self._movements = layout.paths(self.manifest.of("movements"))
        self._lock = Lock()
        self._graph: Graph | None = None
        self._attributions: dict[str, list[Attribution]] | None = None

    @property
    def heights(self) -> tuple[int, int] | None:
        """The first and the last block; None where it has none."""
        return self.manifest.heights

    def holds(self, address: str) -> bool:
        """Whether an address takes part in any payment."""
        return bool(self.page(address, 1))

    def page(self, address: str, limit: int, after: Key | None = None) -> list[Movement]:
        """Movements of an address, newest first.

        Args:
            address: canonical.
            limit: at most so many.
            after: go on behind this one; None to begin.
        """
        if not self._movements:
            return []
        behind = (
            "AND height <= $height AND (height, tx_index, asset) < ($height, $tx_index, $asset)"
        )
        rows = (
            self._connection.cursor()
            .execute(
                f"""
                SELECT address, height, timestamp, tx_index, tx_hash, direction, asset, value,
                    counterparties
                FROM read_parquet($parts)
                WHERE address = $address {"" if after is None else behind}
                ORDER BY height DESC, tx_index DESC, asset DESC
                LIMIT $limit
                """,  # noqa: S608 - a condition of ours
                {
                    "parts": self._movements,
                    "address": address,
                    "limit": limit,
                    **({} if after is None else after._asdict()),
                },
            )
            .fetchall()
        )
        return [Movement(*row) for row in rows]

    def attributions(self) -> dict[str, list[Attribution]]:
        """Who is said to be behind which address; read once, not to be changed."""
        with self._lock:
            if self._attributions is None:
                self._attributions = self._read_attributions()
            return self._attributions

    def flows(self) -> Flows:
        """All payments, as arrays: what the graph is built of."""
        return read_flows(self._layout, self.manifest)

    def graph(self) -> Graph:
        """The graph of all payments; built on first use, unless the import has done that."""
        with self._lock:
            if self._graph is None:
                directory = self._layout.graphs / self.id
                if not directory.exists():
                    build(directory, self.flows())
                self._graph = Graph.open(directory)
            return self._graph

    def _read_attributions(self) -> dict[str, list[Attribution]]:
        parts = self._layout.paths(self.manifest.of("attributions"))
        found: dict[str, list[Attribution]] = {}
        if parts:
            columns = ", ".join(Attribution._fields)
            rows = self._connection.cursor().execute(
                f"SELECT {columns} FROM read_parquet(?) ORDER BY ALL",  # noqa: S608 - names of ours
                [parts],
            )
            for attribution in starmap(Attribution, rows.fetchall()):
                found.setdefault(attribution.address, []).append(attribution)
        return found
