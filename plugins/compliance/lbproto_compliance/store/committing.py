"""From staged rows to the next snapshot.

Theory of operation. What is staged and not yet held is written to new parts, and a new manifest
names the old parts and these. Three things make the old rows wrong, and then the table is written
anew, in one part: outputs that come after the inputs that spend them; more of a transaction that
is there in part; and parts so many that reading them all is slow. Old parts stay for the
snapshots that name them.

All of it can be repeated: an import that dies here makes the same snapshot when it is run again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lbproto_compliance.chains import CHAINS
from lbproto_compliance.sources import Table
from lbproto_compliance.store import statements
from lbproto_compliance.store.manifest import Imported, Kept, Layout, Manifest, Part
from lbproto_compliance.store.staging import Staging
from lbproto_compliance.store.tables import COLUMNS

__all__ = ["MAX_PARTS", "commit"]

MAX_PARTS = 32
"""Of one table; with one more, it is written anew."""

# Small enough that a page of one address reads little, large enough that it compresses well.
_ROW_GROUP = {"movements": 16_384}


def commit(layout: Layout, staging: Staging, chain: str, base: Manifest | None) -> Manifest:
    """Write what is staged; the manifest that has it all, to be published.

    Args:
        layout: of the chain.
        staging: what was read; it stays as it is.
        chain: its name.
        base: the latest snapshot's manifest; None for none.

    Raises:
        OSError, duckdb.Error: the parts cannot be written.
    """
    return _Commit(layout, staging, chain, base or Manifest(chain, {}, ())).run()


class _Commit:
    def __init__(self, layout: Layout, staging: Staging, chain: str, base: Manifest) -> None:
        self._layout = layout
        self._staging = staging
        self._connection = staging.connection
        self._chain = CHAINS[chain]
        self._base = base
        self._parts = dict(base.parts)

    def run(self) -> Manifest:
        table: Table = "coins" if self._chain.kind == "coins" else "transfers"
        self._payments(table)
        if self._holds("staged_attributions") or self._holds("staged_lists"):
            self._point(self._base.of("attributions"), "attributions")
            self._write("attributions", statements.ATTRIBUTIONS, anew=True)
        self._write("rejected", statements.REJECTED, anew=False)
        self._run(statements.FORGET)  # the graph is built next, and needs the memory
        return Manifest(self._base.chain, self._parts, tuple(self._imported()))

    def _payments(self, table: Table) -> None:
        if not self._holds(f"staged_{table}"):
            return
        stored = self._base.of(table)
        self._point(stored, table)
        keys = ", ".join(statements.KEYS[table])
        self._run(
            f"""
            CREATE OR REPLACE TEMP TABLE fresh AS
            SELECT * EXCLUDE (origin), rowid AS arrival
            FROM staged_{table} ANTI JOIN read_parquet(getvariable('near')) near USING ({keys})
            QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY rowid) = 1
            """  # noqa: S608 - names of ours
        )
        if not self._holds("fresh"):
            return
        if self._is(statements.LACKS_INDICES):
            self._run(statements.GIVE_INDICES)
        coins = table == "coins"
        anew = (
            len(stored) >= MAX_PARTS
            or self._is(statements.IS_SPLIT)
            or (coins and self._is(statements.IS_SPENT_LATE))
        )
        self._run(statements.ALL if anew else statements.FRESH)
        self._run(statements.SETTLE_COINS if coins else statements.SETTLE_TRANSFERS)
        self._write(table, f"FROM settled ORDER BY {statements.ORDERS[table]}", anew=anew)
        if coins:
            self._write("movements", statements.COIN_MOVEMENTS, anew=anew, asset=self._chain.asset)
        else:
            self._write("movements", statements.TRANSFER_MOVEMENTS, anew=anew)

    def _point(self, parts: tuple[Part, ...], table: Table) -> None:
        """Let `stored` and `near` be these parts, each with an empty one, so that none will do."""
        none = self._layout.importing / f"{table}.parquet"
        columns = ", ".join(COLUMNS[table])
        self._run(
            f"COPY (SELECT {columns} FROM staged_{table} LIMIT 0) TO $to (FORMAT parquet)",  # noqa: S608 - names of ours
            to=str(none),
        )
        near = parts
        if table != "attributions":
            ((first, last),) = self._run(
                f"SELECT min(height), max(height) FROM staged_{table}"  # noqa: S608 - a name of ours
            )
            near = tuple(part for part in parts if _meets(part, first, last))
        for name, chosen in (("stored", parts), ("near", near)):
            self._run(f"SET VARIABLE {name} = $to", to=[str(none), *self._layout.paths(chosen)])

    def _write(self, table: Kept, rows: str, *, anew: bool, **given: Any) -> None:
        """Write a part, in place of all others of its table, or beside them."""
        written = self._layout.importing / f"{table}.parquet"
        group = _ROW_GROUP.get(table, 122_880)
        self._run(
            f"COPY ({rows}) TO $to (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {group})",
            to=str(written),
            **given,
        )
        has_heights = table not in ("attributions", "rejected")
        bounds = "min(height), max(height)" if has_heights else "NULL, NULL"
        ((count, first, last),) = self._run(
            f"SELECT count(*), {bounds} FROM read_parquet([$file])",  # noqa: S608 - names of ours
            file=str(written),
        )
        kept = () if anew else self._base.of(table)
        if count:
            part = Part(self._layout.adopt(written, table), count, first, last)
            kept = kept if part in kept else (*kept, part)
        self._parts[table] = kept

    def _imported(self) -> Iterable[Imported]:
        sources = self._staging.sources()
        replaced = {name for staged in sources for name in staged.lists}
        found = {
            imported.name: imported
            for imported in self._base.imported
            if replaced.isdisjoint(imported.lists)
        }
        for staged in sources:
            before = found.get(staged.name)
            if before is None:
                found[staged.name] = Imported(*staged)
            elif before.checkpoint != staged.checkpoint:  # else it is counted in already
                found[staged.name] = Imported(
                    staged.name,
                    staged.table,
                    staged.checkpoint,
                    before.rows + staged.rows,
                    before.rejected + staged.rejected,
                )
        return found.values()

    def _holds(self, table: str) -> bool:
        return self._is(f"SELECT EXISTS (FROM {table})")

    def _is(self, question: str) -> bool:
        ((answer,),) = self._run(question)
        return bool(answer)

    def _run(self, statement: str, **given: Any) -> list[Any]:
        return self._connection.execute(statement, given or None).fetchall()


def _meets(part: Part, first: int, last: int) -> bool:
    return (
        part.first is not None
        and part.last is not None
        and (part.first <= last and first <= part.last)
    )
