"""What DuckDB is asked for when staged rows become parts of a snapshot.

The variables `stored` and `near` are lists of files: all parts of the table, and those of them
whose heights meet the staged rows' heights. Each ends in an order that is total, so that the same
rows make the same file.
"""

from __future__ import annotations

__all__ = [
    "ALL",
    "ATTRIBUTIONS",
    "COIN_MOVEMENTS",
    "FORGET",
    "FRESH",
    "GIVE_INDICES",
    "IS_SPENT_LATE",
    "IS_SPLIT",
    "KEYS",
    "LACKS_INDICES",
    "ORDERS",
    "REJECTED",
    "SETTLE_COINS",
    "SETTLE_TRANSFERS",
    "TRANSFER_MOVEMENTS",
]

_MAX_COUNTERPARTIES = 20

KEYS = {"transfers": ("tx_hash", "position"), "coins": ("tx_hash", "side", "position")}
"""What tells a row that is there already."""

ORDERS = {
    "transfers": "height, tx_index, tx_hash, position",
    "coins": "height, tx_index, tx_hash, side, position",
    "movements": "address, height, tx_index, asset",
    "attributions": "address, source, label, category",
}

_FIRST_GIVEN = 1_000_000
"""No block has so many transactions: places from here on are given, not read from a chain."""

LACKS_INDICES = "SELECT EXISTS (FROM fresh WHERE tx_index < 0)"

# Rows that do not tell their transaction's place in the block have the place of others of the same
# transaction, else one behind all that are told, in the order of their arrival.
GIVE_INDICES = f"""
    WITH told AS (
        SELECT height, tx_hash, tx_index FROM fresh WHERE tx_index >= 0
        UNION ALL
        SELECT height, tx_hash, tx_index FROM read_parquet(getvariable('near'))
    ),
    known AS (SELECT height, tx_hash, min(tx_index) AS tx_index FROM told GROUP BY ALL),
    last AS (SELECT height, max(tx_index) AS tx_index FROM told GROUP BY ALL),
    untold AS (
        SELECT height, tx_hash, min(arrival) AS arrival
        FROM fresh ANTI JOIN known USING (height, tx_hash)
        GROUP BY ALL
    ),
    given AS (
        FROM known
        UNION ALL
        SELECT untold.height, untold.tx_hash,
            greatest(coalesce(last.tx_index, 0), {_FIRST_GIVEN - 1})
            + row_number() OVER (PARTITION BY untold.height ORDER BY untold.arrival)
        FROM untold LEFT JOIN last USING (height)
    )
    UPDATE fresh SET tx_index = given.tx_index FROM given
    WHERE fresh.tx_index < 0
        AND fresh.height = given.height AND fresh.tx_hash = given.tx_hash
"""  # noqa: S608 - a number of ours

IS_SPLIT = """
    SELECT EXISTS (
        FROM read_parquet(getvariable('near')) near SEMI JOIN fresh USING (tx_hash)
    )
"""
"""Whether a transaction is partly in the store and partly among what comes."""

IS_SPENT_LATE = """
    SELECT EXISTS (
        FROM read_parquet(getvariable('stored')) stored
        WHERE side = 'in' AND (value IS NULL OR address IS NULL)
            AND EXISTS (
                FROM fresh WHERE fresh.side = 'out'
                    AND fresh.tx_hash = stored.prev_tx_hash
                    AND fresh.position = stored.prev_index
            )
    )
"""
"""Whether what comes has outputs that the store knew the spending of before."""

FRESH = "CREATE OR REPLACE TEMP VIEW chosen AS SELECT * EXCLUDE (arrival) FROM fresh"
ALL = f"{FRESH} UNION ALL FROM read_parquet(getvariable('stored'))"
"""What is written: what comes, or that and what is there."""

FORGET = """
    DROP VIEW IF EXISTS chosen;
    DROP TABLE IF EXISTS fresh;
    DROP TABLE IF EXISTS settled
"""

SETTLE_TRANSFERS = "CREATE OR REPLACE TEMP TABLE settled AS FROM chosen"

SETTLE_COINS = """
    CREATE OR REPLACE TEMP TABLE settled AS
    WITH outputs AS (
        SELECT tx_hash, position, address, value FROM fresh WHERE side = 'out'
        UNION ALL
        SELECT tx_hash, position, address, value
        FROM read_parquet(getvariable('stored')) WHERE side = 'out'
    )
    SELECT chosen.* REPLACE (
        coalesce(chosen.address, outputs.address) AS address,
        coalesce(chosen.value, outputs.value) AS value
    )
    FROM chosen LEFT JOIN outputs
        ON chosen.side = 'in'
        AND chosen.prev_tx_hash = outputs.tx_hash AND chosen.prev_index = outputs.position
"""

# What an address gains or loses by a transaction. Where it is on both sides that is the difference:
# change that comes back has not moved. `self` is where nobody else takes part.
COIN_MOVEMENTS = f"""
    WITH sums AS (
        SELECT height, timestamp, tx_index, tx_hash, address,
            coalesce(sum(value) FILTER (side = 'in'), 0) AS paid,
            coalesce(sum(value) FILTER (side = 'out'), 0) AS received,
            bool_or(side = 'in') AS pays,
            bool_or(side = 'out') AS is_paid,
            bool_or(side = 'in' AND value IS NULL) AS untold
        FROM settled
        GROUP BY ALL
    ),
    transactions AS (
        SELECT tx_hash,
            list(address ORDER BY paid DESC, address) FILTER (pays AND address IS NOT NULL)
                [:{_MAX_COUNTERPARTIES + 1}] AS payers,
            list(address ORDER BY received DESC, address) FILTER (is_paid AND address IS NOT NULL)
                [:{_MAX_COUNTERPARTIES + 1}] AS payees,
            count(*) FILTER (pays OR received > 0) AS parties
        FROM sums
        GROUP BY ALL
    ),
    moves AS (
        SELECT sums.*, payers, payees,
            CASE
                WHEN NOT pays THEN 'in'
                WHEN NOT is_paid THEN 'out'
                WHEN parties = 1 THEN 'self'
                WHEN NOT untold AND received > paid THEN 'in'
                ELSE 'out'
            END AS direction
        FROM sums JOIN transactions USING (tx_hash)
        WHERE address IS NOT NULL
    )
    SELECT address, height, timestamp, tx_index, tx_hash, direction, $asset AS asset,
        CASE
            WHEN direction = 'self' THEN received
            WHEN untold THEN NULL
            ELSE abs(received - paid)
        END::VARCHAR AS value,
        CASE direction
            WHEN 'in' THEN list_filter(coalesce(payers, []), lambda other: other != address)
            WHEN 'out' THEN list_filter(coalesce(payees, []), lambda other: other != address)
            ELSE []
        END[:{_MAX_COUNTERPARTIES}] AS counterparties
    FROM moves
    ORDER BY {ORDERS["movements"]}
"""  # noqa: S608 - numbers and names of ours

# Amounts of tokens have up to 78 digits: more than any of DuckDB's fixed types.
TRANSFER_MOVEMENTS = f"""
    WITH legs AS (
        SELECT height, timestamp, tx_index, tx_hash, asset, value::BIGNUM AS value,
            receiver AS address, sender AS other, 'in' AS side
        FROM settled WHERE receiver IS DISTINCT FROM sender
        UNION ALL
        SELECT height, timestamp, tx_index, tx_hash, asset, value::BIGNUM,
            sender, receiver, CASE WHEN receiver = sender THEN 'self' ELSE 'out' END
        FROM settled
    ),
    sums AS (
        SELECT height, timestamp, tx_index, tx_hash, asset, address,
            coalesce(sum(value) FILTER (side = 'in'), 0::BIGNUM) AS received,
            coalesce(sum(value) FILTER (side = 'out'), 0::BIGNUM) AS paid,
            coalesce(sum(value) FILTER (side = 'self'), 0::BIGNUM) AS kept,
            bool_or(side = 'in') AS is_paid,
            bool_or(side = 'out') AS pays,
            list_sort(list(DISTINCT other) FILTER (other IS NOT NULL AND other != address))
                [:{_MAX_COUNTERPARTIES}] AS others
        FROM legs
        WHERE address IS NOT NULL
        GROUP BY ALL
    ),
    moves AS (
        SELECT *,
            CASE
                WHEN NOT pays AND NOT is_paid THEN 'self'
                WHEN NOT pays OR received > paid THEN 'in'
                WHEN NOT is_paid OR paid > received THEN 'out'
                ELSE 'self'
            END AS direction
        FROM sums
    )
    SELECT address, height, timestamp, tx_index, tx_hash, direction, asset,
        CASE
            WHEN direction = 'in' THEN received - paid
            WHEN direction = 'out' THEN paid - received
            ELSE kept
        END::VARCHAR AS value,
        coalesce(others, []) AS counterparties
    FROM moves
    ORDER BY {ORDERS["movements"]}
"""  # noqa: S608 - numbers and names of ours

ATTRIBUTIONS = f"""
    WITH fresh AS (
        SELECT * EXCLUDE (origin)
        FROM staged_attributions
        QUALIFY row_number() OVER (
            PARTITION BY address, source, label, category ORDER BY rowid DESC
        ) = 1
    )
    FROM fresh
    UNION ALL
    FROM (
        FROM read_parquet(getvariable('stored')) stored
        ANTI JOIN (
            SELECT source FROM fresh UNION SELECT list FROM staged_lists
        ) AS replaced USING (source)
    )
    ORDER BY {ORDERS["attributions"]}
"""  # noqa: S608 - names of ours
"""A list takes the place of what is there of the same source: who was taken off it is gone."""

REJECTED = "SELECT source, place, reason, content FROM staged_rejected ORDER BY rowid"
