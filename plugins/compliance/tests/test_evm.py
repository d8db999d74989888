"""What moves in a block of an EVM chain: by its receipts, its logs, and either way of tracing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from lbproto_compliance.chains import CHAINS
from lbproto_compliance.sources.batches import Rejected, Transfer
from lbproto_compliance.sources.blockchain_etl import Facts, Traces
from lbproto_compliance.sources.evm import Block, read_block
from lbproto_compliance.sources.traces import Internal, Trace, call_traces, flat_traces

TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"


def address(number: int) -> str:
    return f"0x{number:040x}"


def word(number: int) -> str:
    return f"0x{number:064x}"


def raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


TX = word(500)
BLOCK = word(7)


def log(*topics: str, data: str = word(9), index: str = "0x3") -> dict[str, Any]:
    return {"address": address(70), "topics": [*topics], "data": data, "logIndex": index}


def moved(
    logs: list[Any],
    traces: Mapping[str, Trace] | None = None,
    **receipt: Any,
) -> tuple[list[Transfer], list[Rejected]]:
    """What one transaction moves, which pays 5 from 1 to 2 itself."""
    block = Block(
        number="0x7",
        hash=BLOCK,
        parent_hash=word(6),
        timestamp="0x64",
        transactions=[raw({"hash": TX, "from": address(1), "to": address(2), "value": "0x5"})],
    )
    whole = {"transactionHash": TX, "blockHash": BLOCK, "status": "0x1", "logs": logs} | receipt
    return read_block(block, [raw(whole)], traces, "ETH")


def seen(rows: list[Transfer]) -> list[tuple[int, str | None, str | None, str, str]]:
    return [(row.position, row.sender, row.receiver, row.asset, row.value) for row in rows]


OWN = (0, address(1), address(2), "ETH", "5")


def test_tokens_that_move_that_are_made_and_that_are_burnt() -> None:
    rows, rejected = moved(
        [
            log(TRANSFER, word(1), word(2)),
            log(TRANSFER.upper().replace("X", "x"), word(0), word(2), index="0x4"),
            log(TRANSFER, word(1), word(0), index="0x5"),
        ]
    )
    token = address(70)
    assert seen(rows) == [
        OWN,
        (1_000_003, address(1), address(2), token, "9"),
        (1_000_004, None, address(2), token, "9"),
        (1_000_005, address(1), None, token, "9"),
    ]
    assert rejected == []


def test_logs_that_move_no_amount_are_passed_over() -> None:
    logs = [
        log(),  # of no event
        log(word(1), word(2)),  # of another one
        log(TRANSFER, word(1), word(2), word(3)),  # of a token that is one of its kind
        log(TRANSFER, word(1), word(2), data=word(0)),  # of nothing
    ]
    assert moved(logs) == (moved([])[0], [])


@pytest.mark.parametrize(
    ("hostile", "reason"),
    [
        (log(TRANSFER), "neither ERC-20's nor ERC-721's"),
        (log(TRANSFER, word(1)), "neither ERC-20's nor ERC-721's"),
        (log(TRANSFER, word(2**255), word(2)), "a topic that is not an address"),
        (log(TRANSFER, word(1), "0x2"), "no topic: '0x2'"),
        (log(TRANSFER, word(1), word(2), data="0x"), "no number: '0x'"),
        (log(TRANSFER, word(1), word(2), data=word(1) + "00" * 32), "no number"),
        (log(TRANSFER, word(1), word(2), index="third"), "no number: 'third'"),
        (log(TRANSFER, word(1), word(2), index=word(2**31)), "no block has so many of"),
        ("what", "Expected `object`"),
    ],
)
def test_a_log_may_say_anything_and_spoils_only_that(hostile: Any, reason: str) -> None:
    rows, [rejected] = moved([hostile, log(TRANSFER, word(1), word(2))])
    assert [row.position for row in rows] == [0, 1_000_003]
    assert rejected.place == "block 7, transaction 0, log 0"
    assert reason in rejected.reason


def test_the_largest_amount_there_can_be() -> None:
    rows, _ = moved([log(TRANSFER, word(1), word(2), data=word(2**256 - 1))])
    assert rows[1].value == str(2**256 - 1)


def test_before_receipts_told_whether_it_failed_traces_do() -> None:
    rows, _ = moved([], {TX: Trace(False, [])}, status=None)
    assert seen(rows) == [OWN]
    assert moved([], {TX: Trace(True, [])}, status=None) == ([], [])
    rows, [rejected] = moved([], {}, status=None)
    assert (rows, rejected.reason) == ([], "the node tells no trace of it")


# One transaction: 1 calls 2 with 5, which calls 3 with 1, whose own call of 4 fails with all that
# was within it, and which then makes 6 with 2; at last 2 is undone in favour of 8.
FLAT: list[dict[str, Any]] = [
    {"type": "call", "traceAddress": [], "action": {"from": 1, "to": 2, "value": 5}},
    {"type": "call", "traceAddress": [0], "action": {"from": 2, "to": 3, "value": 1}},
    {
        "type": "call",
        "traceAddress": [0, 0],
        "error": "Reverted",
        "action": {"from": 3, "to": 4, "value": 1},
    },
    {"type": "call", "traceAddress": [0, 0, 0], "action": {"from": 4, "to": 5, "value": 1}},
    {
        "type": "create",
        "traceAddress": [0, 1],
        "action": {"from": 3, "value": 2},
        "result": {"address": address(6)},
    },
    {
        "type": "call",
        "traceAddress": [1],
        "action": {"from": 2, "to": 7, "value": 5, "callType": "delegatecall"},
    },
    {
        "type": "suicide",
        "traceAddress": [2],
        "action": {"address": 2, "refundAddress": 8, "balance": 4},
    },
]
NESTED = {
    "type": "CALL",
    "from": 1,
    "to": 2,
    "value": 5,
    "calls": [
        {
            "type": "CALL",
            "from": 2,
            "to": 3,
            "value": 1,
            "calls": [
                {
                    "type": "CALL",
                    "from": 3,
                    "to": 4,
                    "value": 1,
                    "error": "execution reverted",
                    "calls": [{"type": "CALL", "from": 4, "to": 5, "value": 1}],
                },
                {"type": "CREATE2", "from": 3, "to": 6, "value": 2},
            ],
        },
        {"type": "DELEGATECALL", "from": 2, "to": 7, "value": 5},
        {"type": "SELFDESTRUCT", "from": 2, "to": 8, "value": 4},
    ],
}
INTERNALS = [
    Internal(address(2), address(3), 1),
    Internal(address(3), address(6), 2),
    Internal(address(2), address(8), 4),
]


def written(step: Any) -> Any:
    """With numbers of people as addresses, and amounts in hexadecimal."""
    if isinstance(step, list):
        return [written(each) for each in step]
    if not isinstance(step, dict):
        return step
    people, amounts = {"from", "to", "address", "refundAddress"}, {"value", "balance"}
    return {
        key: address(value)
        if key in people and isinstance(value, int)
        else hex(value)
        if key in amounts
        else written(value)
        for key, value in step.items()
    }


def flat(steps: list[dict[str, Any]]) -> bytes:
    whole = [
        {"blockHash": BLOCK, "transactionHash": TX}
        | written(step)
        | {"action": {"callType": "call"} | written(step["action"])}
        for step in steps
    ]
    return msgspec.json.encode(whole)


def test_both_ways_of_tracing_say_the_same() -> None:
    reward: dict[str, Any] = {"type": "reward", "traceAddress": [], "action": {}}
    reward["transactionHash"] = None  # it is of none
    assert flat_traces(flat([*FLAT, reward])) == ({BLOCK}, {TX: Trace(False, INTERNALS)})
    nested = msgspec.json.encode([{"txHash": TX, "result": written(NESTED)}])
    assert call_traces(nested, [TX]) == {TX: Trace(False, INTERNALS)}


def test_what_contracts_moved_stands_behind_the_transactions_own() -> None:
    rows, _ = moved([], {TX: Trace(False, INTERNALS)})
    assert [(row.position, row.value) for row in rows] == [(0, "5"), (1, "1"), (2, "2"), (3, "4")]


def test_an_export_of_the_same_has_the_same_positions() -> None:
    """So what was imported from a node is not imported again from a file, or the other way."""
    traces = Traces(CHAINS["ethereum"], Facts([], []))
    exported = [row for step in written(FLAT) for row in traces.translate(record_of(step))]
    rows, _ = moved([], flat_traces(flat(FLAT))[1])
    assert [(row[3:5], row[5:]) for row in exported] == [(row[3:5], row[5:]) for row in rows]


def record_of(step: dict[str, Any]) -> dict[str, Any]:
    """A step as ethereum-etl exports it: what failed, and what was within it, has a status."""
    action, place = step["action"], step["traceAddress"]
    return {
        "block_number": "7",
        "block_timestamp": "100",
        "transaction_hash": TX,
        "transaction_index": "0",
        "trace_type": step["type"],
        "trace_address": ",".join(map(str, place)),
        "call_type": action.get("callType", "call") if step["type"] == "call" else "",
        "from_address": action.get("from", action.get("address")),
        "to_address": step.get("result", {}).get("address")
        or action.get("to", action.get("refundAddress")),
        "value": str(int(action.get("value", action.get("balance")), 16)),
        "status": "0" if place[:2] == [0, 0] else "1",
        "error": step.get("error", ""),
    }


def test_calls_nested_as_deep_as_can_be_read() -> None:
    call: dict[str, Any] = {"type": "CALL", "from": address(1), "to": address(2), "value": "0x1"}
    for _ in range(200):
        call = call | {"calls": [call]}
    [trace] = call_traces(msgspec.json.encode([{"result": call}]), [TX]).values()
    assert len(trace.internals) == 200


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"null", "Expected `array`, got `null`"),
        (b"[7]", "Expected `object`, got `int`"),
        (flat([FLAT[1]]), "and not itself"),
        (flat([FLAT[0], {**FLAT[1], "action": {"from": 1}}]), "without a payer"),
        (flat([FLAT[0], {**FLAT[1], "action": {"from": 1, "to": "him"}}]), "no address: 'him'"),
        (flat([FLAT[0], {**FLAT[4], "result": None}]), "without a payer"),
    ],
)
def test_flat_traces_that_are_none(body: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        flat_traces(body)


@pytest.mark.parametrize(
    ("traces", "reason"),
    [
        (None, "Expected `array`, got `null`"),
        ([], "0 traces of 1 transactions"),
        ([{"result": written(NESTED)}] * 2, "2 traces of 1 transactions"),
        ([{"txHash": word(1), "result": written(NESTED)}], "where that of"),
        ([{"error": "execution timeout"}], "missing required field `result`"),
        ([{"result": {"type": "CALL", "from": "", "calls": [7]}}], "Expected `object`, got `int`"),
    ],
)
def test_nested_traces_that_are_none(traces: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        call_traces(msgspec.json.encode(traces), [TX])
