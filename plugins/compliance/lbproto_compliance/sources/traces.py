"""What contracts moved within transactions, as nodes trace it: Parity's way, and Geth's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from lbproto_compliance.sources.hexes import address_of, hash_of, number_of

__all__ = ["Internal", "Trace", "call_traces", "flat_traces"]


class Internal(NamedTuple):
    """An amount of the chain's own asset that a contract moved, or that made one.

    Attributes:
        sender: who paid.
        receiver: who was paid.
        value: in base units; above 0, but for a contract that was made.
    """

    sender: str
    receiver: str
    value: int


class Trace(NamedTuple):
    """One transaction's.

    Attributes:
        failed: so nothing moved.
        internals: in the order in which they happened.
    """

    failed: bool
    internals: list[Internal]


class _Action(msgspec.Struct, rename="camel"):
    from_: str | None = msgspec.field(name="from", default=None)
    to: str | None = None
    value: str | None = None
    call_type: str | None = None
    address: str | None = None
    refund_address: str | None = None
    balance: str | None = None


class _Created(msgspec.Struct):
    address: str | None = None


class _Flat(msgspec.Struct, rename="camel"):
    """One step of a block, as `trace_block` lists them, depth first."""

    type: str
    action: _Action
    trace_address: list[int]
    block_hash: str
    transaction_hash: str | None = None
    error: str | None = None
    result: _Created | None = None


class _Call(msgspec.Struct):
    """A call and those within it, as Geth's `callTracer` nests them."""

    type: str
    from_: str = msgspec.field(name="from")
    to: str | None = None
    value: str | None = None
    error: str | None = None
    calls: list[_Call] = []


class _Traced(msgspec.Struct, rename="camel"):
    """One transaction, as `debug_traceBlockByHash` lists them in the block's order."""

    result: _Call
    tx_hash: str | None = None


# Of Geth's types of calls; the others run code in the name of the caller, or change nothing.
_PAYING = frozenset({"CALL", "SELFDESTRUCT"})
_MAKING = frozenset({"CREATE", "CREATE2"})

_flats = msgspec.json.Decoder(list[_Flat])
_traced = msgspec.json.Decoder(list[_Traced])


def flat_traces(body: bytes) -> tuple[set[str], dict[str, Trace]]:
    """What `trace_block` says: hashes of the blocks it speaks of, and traces by transaction.

    Raises:
        ValueError: it is malformed.
    """
    blocks: set[str] = set()
    traces: dict[str, Trace] = {}
    within: dict[str, list[_Flat]] = {}
    for step in _flats.decode(body):
        blocks.add(hash_of(step.block_hash))
        if step.transaction_hash is None:  # a reward
            continue
        tx_hash = hash_of(step.transaction_hash)
        if step.trace_address:
            within.setdefault(tx_hash, []).append(step)
        else:
            traces[tx_hash] = Trace(step.error is not None, [])
    for tx_hash, steps in within.items():
        if tx_hash not in traces:
            raise ValueError(f"there are steps within transaction {tx_hash}, and not itself")
        traces[tx_hash].internals.extend(_flat_internals(steps))
    return blocks, traces


def _flat_internals(steps: Sequence[_Flat]) -> Iterator[Internal]:
    undone: list[int] | None = None
    for step in steps:
        # What was done within a call that failed is undone with it, and has no error of its own.
        if undone is not None and step.trace_address[: len(undone)] == undone:
            continue
        undone = step.trace_address if step.error is not None else None
        action = step.action
        if undone is not None:
            continue
        if step.type == "suicide":
            yield from _paid(action.address, action.refund_address, action.balance)
        elif step.type == "create":
            created = step.result.address if step.result else None
            yield _internal(action.from_, created, action.value)
        elif step.type == "call" and action.call_type == "call":  # other calls move nothing
            yield from _paid(action.from_, action.to, action.value)


def call_traces(body: bytes, tx_hashes: Sequence[str]) -> dict[str, Trace]:
    """What `debug_traceBlockByHash` says with the tracer `callTracer`: traces by transaction.

    Args:
        body: the result.
        tx_hashes: of the block, in its order; older nodes tell none themselves.

    Raises:
        ValueError: it is malformed, or of other transactions.
    """
    traced = _traced.decode(body)
    if len(traced) != len(tx_hashes):
        raise ValueError(f"{len(traced)} traces of {len(tx_hashes)} transactions")
    traces: dict[str, Trace] = {}
    for tx_hash, each in zip(tx_hashes, traced, strict=True):
        if each.tx_hash is not None and hash_of(each.tx_hash) != tx_hash:
            raise ValueError(f"a trace of {each.tx_hash} where that of {tx_hash} should be")
        traces[tx_hash] = Trace(each.result.error is not None, list(_nested(each.result)))
    return traces


def _nested(root: _Call) -> Iterator[Internal]:
    """Depth first and without recursion: calls may be nested a thousand deep."""
    waiting = root.calls[::-1]
    while waiting:
        call = waiting.pop()
        if call.error is not None:  # all within it is undone, too
            continue
        if call.type in _MAKING:
            yield _internal(call.from_, call.to, call.value)
        elif call.type in _PAYING:
            yield from _paid(call.from_, call.to, call.value)
        waiting += reversed(call.calls)


def _paid(sender: str | None, receiver: str | None, value: str | None) -> Iterator[Internal]:
    """A payment, if it is one."""
    internal = _internal(sender, receiver, value)
    if internal.value:
        yield internal


def _internal(sender: str | None, receiver: str | None, value: str | None) -> Internal:
    if sender is None or receiver is None:
        raise ValueError("a step without a payer or without a payee")
    return Internal(address_of(sender), address_of(receiver), number_of(value or "0x0"))
