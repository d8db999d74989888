"""A node that fails as a test says, and a source that reads it without waiting."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from contextlib import aclosing
from typing import Any, TypeAlias

import anyio.lowlevel
import msgspec

from lbproto_compliance.sources.batches import Batch, Transfer
from lbproto_compliance.sources.json_rpc import JsonRpc
from lbproto_compliance.sources.peers import Patience
from tests.compliance.web_server import Asked, Said

TIP = 9

Call: TypeAlias = dict[str, Any]
Change: TypeAlias = Callable[[Call, Any], Any]
"""Makes another result of one call's; what it raises is the call's error."""


class NodeError(Exception):
    """What a call is answered with in place of a result."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(code, message)
        self.body = {"code": code, "message": message}


class Node:
    """A chain of ten blocks, each with one payment; it does not trace.

    Attributes:
        before: what is answered to whole requests, first come first served, before the node does;
            `None` lets one through.
        change: changes results.
        calls: how often each method was called.
        requests: how many requests came.
    """

    def __init__(self) -> None:
        self.before: list[Said | None] = []
        self.change: Change = lambda call, result: result
        self.calls: Counter[str] = Counter()
        self.requests = 0

    def __call__(self, asked: Asked) -> Said:
        self.requests += 1
        if self.before and (said := self.before.pop(0)) is not None:
            return said
        calls = json.loads(asked.body)
        answers = [self._answer(call) for call in (calls if isinstance(calls, list) else [calls])]
        return Said(json.dumps(answers if isinstance(calls, list) else answers[0]).encode())

    def _answer(self, call: Call) -> dict[str, Any]:
        self.calls[call["method"]] += 1
        answer = {"jsonrpc": "2.0", "id": call["id"]}
        try:
            return answer | {"result": self.change(call, self._result(call))}
        except NodeError as error:
            return answer | {"error": error.body}

    def _result(self, call: Call) -> Any:
        method, params = call["method"], call["params"]
        if method == "eth_chainId":
            return "0x1"
        if method == "eth_blockNumber":
            return hex(TIP)
        if method == "eth_getBlockByNumber":
            return block(int(params[0], 16))
        if method == "eth_getBlockReceipts":
            return [receipt(int(params[0], 16))]
        raise NodeError(-32601, "the method does not exist")


def word(number: int) -> str:
    return f"0x{number:064x}"


def block(height: int) -> dict[str, Any]:
    payment = {
        "hash": word(1000 + height),
        "from": f"0x{height:040x}",
        "to": f"0x{height + 1:040x}",
        "value": hex(100 + height),
    }
    return {
        "number": hex(height),
        "hash": word(height + 1),
        "parentHash": word(height),
        "timestamp": hex(1_700_000_000 + height),
        "transactions": [payment],
    }


def receipt(height: int) -> dict[str, Any]:
    return {
        "transactionHash": word(1000 + height),
        "blockHash": word(height + 1),
        "status": "0x1",
        "logs": [],
    }


class Reading:
    """A node, and sources that read it.

    Attributes:
        slept: for how long it would have waited.
    """

    def __init__(self, node: Node, url: str) -> None:
        self.node = node
        self.url = url
        self.slept: list[float] = []

    def source(self, *, path: str = "", **patience: Any) -> JsonRpc:
        async def sleep(seconds: float) -> None:
            self.slept.append(seconds)
            await anyio.lowlevel.checkpoint()

        return JsonRpc(
            "ethereum",
            self.url + path,
            confirmations=0,
            blocks=5,
            calls=5,
            concurrency=1,
            patience=msgspec.structs.replace(Patience(attempts=3, sleep=sleep), **patience),
        )

    async def read(
        self,
        checkpoint: str | None = None,
        then: Callable[[Batch], None] = lambda batch: None,
        **patience: Any,
    ) -> list[Batch]:
        """All batches; `then` is called with each before the next one is asked for."""
        got = []
        async with aclosing(self.source(**patience).batches(checkpoint)) as batches:
            async for batch in batches:
                got.append(batch)
                then(batch)
        return got


def values(batches: list[Batch]) -> list[int]:
    rows = [row for batch in batches for row in batch.rows]
    return [int(row.value) for row in rows if isinstance(row, Transfer)]


ALL = list(range(100, 101 + TIP))
