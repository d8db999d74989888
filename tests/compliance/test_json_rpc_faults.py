"""A node that fails in every way it can: what passes is waited for, what does not is told."""

from __future__ import annotations

import gzip
import json
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import aclosing
from typing import Any, TypeAlias

import anyio.lowlevel
import msgspec
import pytest

from lbproto_compliance.sources.batches import Batch, SourceError, Transfer
from lbproto_compliance.sources.json_rpc import JsonRpc
from lbproto_compliance.sources.peers import Patience
from tests.compliance.web_server import Asked, Said, answering

pytestmark = pytest.mark.anyio

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


class Fixture:
    """The node, and a source that reads it without waiting.

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


@pytest.fixture
def faulty() -> Iterator[Fixture]:
    node = Node()
    with answering(node) as url:
        yield Fixture(node, url)


def values(batches: list[Batch]) -> list[int]:
    rows = [row for batch in batches for row in batch.rows]
    return [int(row.value) for row in rows if isinstance(row, Transfer)]


ALL = list(range(100, 101 + TIP))


async def test_a_node_that_does_not_fail(faulty: Fixture) -> None:
    assert values(await faulty.read()) == ALL
    assert faulty.slept == []


@pytest.mark.parametrize("anyio_backend", ["trio"])  # each is a server of its own
@pytest.mark.parametrize(
    "said",
    [
        Said(b'[{"jsonrpc": "2.0", "id": 0, "resu'),
        Said(b'{"jsonrpc": "2.0", "id": 0, "result": "0x1"}', sent=20),
        Said(b"<html>Bad gateway</html>", 502),
        Said(b"<html>It works!</html>"),
        Said(b"", 503),
        Said(b"\xff\xfe\x00"),
        Said(b"not packed", headers=(("content-encoding", "gzip"),)),
        Said(gzip.compress(b"x" * 1000)[:-9], headers=(("content-encoding", "gzip"),)),
        Said(b"packed", headers=(("content-encoding", "br"),)),
        Said(b"[]"),
        Said(b'{"jsonrpc": "2.0", "id": 7, "result": {}}'),
        Said(b'{"jsonrpc": "2.0", "id": 0, "error": {"code": -32005, "message": "slow down"}}'),
    ],
)
async def test_what_passes_is_asked_again(faulty: Fixture, said: Said) -> None:
    for earlier in (0, 6):  # requests that are answered before
        faulty.node.before = [None] * earlier + [said] * 2
        assert values(await faulty.read()) == ALL
        first, second = faulty.slept
        faulty.slept.clear()
        assert 0.375 <= first <= 0.625
        assert 0.75 <= second <= 1.25


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("7", 7),
        ("100000", 120),
        ("Thu, 31 Dec 2099 23:59:59 GMT", 120),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
    ],
)
async def test_a_limit_is_kept(faulty: Fixture, header: str, wait: float) -> None:
    faulty.node.before = [Said(status=429, headers=(("retry-after", header),))]
    assert values(await faulty.read()) == ALL
    assert faulty.slept == [wait]


async def test_a_node_that_goes_down_is_gone_on_with_later(faulty: Fixture) -> None:
    got: list[Batch] = []

    def down(batch: Batch) -> None:
        got.append(batch)
        faulty.node.before = [Said(b"{}", sent=1)] * 3

    with pytest.raises(SourceError, match="Asked 3 times; what was imported stays"):
        await faulty.read(then=down)
    assert values(got) == ALL[:5]
    assert values(await faulty.read(got[-1].checkpoint)) == ALL[5:]


async def test_a_node_that_is_not_there() -> None:
    with answering(Node()) as url:
        pass
    with pytest.raises(SourceError, match=r"127.0.0.1: the connection failed \(ConnectError\)"):
        await Fixture(Node(), url).read()


async def test_a_node_that_does_not_answer(faulty: Fixture) -> None:
    done = threading.Event()

    def never(asked: Asked) -> Said:
        done.wait()
        return Said()

    with answering(never) as url:
        try:
            with pytest.raises(SourceError, match=r"no answer within 0.05 s\. Asked 2 times"):
                await Fixture(faulty.node, url).read(attempts=2, seconds=0.05)
        finally:
            done.set()


async def test_answers_that_are_too_large_are_asked_for_in_parts(faulty: Fixture) -> None:
    one = len(json.dumps(block(0))) + 200
    assert values(await faulty.read(max_bytes=2 * one)) == ALL
    assert faulty.slept == []
    with pytest.raises(SourceError, match="an answer of more than 300 bytes"):
        await faulty.read(max_bytes=300)


async def test_packed_answers(faulty: Fixture) -> None:
    def packed(asked: Asked) -> Said:
        said = faulty.node(asked)
        return Said(gzip.compress(said.body), headers=(("content-encoding", "gzip"),))

    with answering(packed) as url:
        assert values(await Fixture(faulty.node, url).read()) == ALL


async def test_a_packed_answer_is_not_unpacked_without_end(faulty: Fixture) -> None:
    packed = gzip.compress(b" " * 50_000_000)
    faulty.node.before = [Said(packed, headers=(("content-encoding", "gzip"),))]
    with pytest.raises(SourceError, match="an answer of more than 1000000 bytes"):
        await faulty.read(max_bytes=1_000_000)


async def test_a_node_that_knows_no_batches(faulty: Fixture) -> None:
    def alone(asked: Asked) -> Said:
        if asked.body.startswith(b"["):
            error = {"code": -32600, "message": "no batches"}
            return Said(json.dumps({"jsonrpc": "2.0", "id": None, "error": error}).encode())
        return faulty.node(asked)

    with answering(alone) as url:
        assert values(await Fixture(faulty.node, url).read()) == ALL


@pytest.mark.parametrize("status", [400, 401, 403, 404, 301])
async def test_a_refusal_is_told_at_once_and_without_the_key(
    faulty: Fixture, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    faulty.node.before = [Said(status=status)]
    source = faulty.source(path="/v3/secret-key")
    with pytest.raises(SourceError, match=f"it answers {status}") as refused:
        await anext(source.batches(None))
    assert "127.0.0.1" in str(refused.value)
    assert "secret" not in str(refused.value) + source.name + caplog.text
    assert faulty.node.requests == 1


def changing(method: str, change: Callable[[Any], Any], height: int | None = None) -> Change:
    """Changes the results of a method, or those for one height."""

    def changed(call: Call, result: Any) -> Any:
        if call["method"] != method or (height is not None and call["params"][0] != hex(height)):
            return result
        return change(result)

    return changed


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # it is about what is read
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda block: None, "does not know a block that is confirmed"),
        (lambda block: [], "Expected `object`, got `array`"),
        (lambda block: block | {"hash": 7}, "Expected `str`, got `int`"),
        (lambda block: block | {"hash": "0x7"}, "no hash: '0x7'"),
        (lambda block: block | {"transactions": None}, "Expected `array`, got `null`"),
        (lambda block: block | {"number": "0x9"}, "asked for block 6, the node answers with 0x9"),
        (lambda block: block | {"number": "six"}, "no number: 'six'"),
        (lambda block: block | {"timestamp": "0xffffffffffff"}, "block 6: a block of no time"),
        (lambda block: block | {"timestamp": True}, "Expected `str`, got `bool`"),
    ],
)
async def test_a_block_that_is_none(
    faulty: Fixture, change: Callable[[Any], Any], told: str
) -> None:
    faulty.node.change = changing("eth_getBlockByNumber", change, 6)
    got: list[Batch] = []
    with pytest.raises(SourceError) as failed:
        await faulty.read(then=got.append)
    assert told in str(failed.value)
    assert values(got) == ALL[:5]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # it is about what is read
@pytest.mark.parametrize(
    ("method", "change", "reason"),
    [
        ("eth_getBlockByNumber", {"value": 7}, "Expected `str`, got `int`"),
        ("eth_getBlockByNumber", {"value": "0x" + "f" * 65}, "no number"),
        ("eth_getBlockByNumber", {"from": "0x12"}, "no address: '0x12'"),
        ("eth_getBlockByNumber", {"to": None}, "pays nobody and makes no contract"),
        ("eth_getBlockByNumber", {"hash": word(5)}, "the node tells no receipt of it"),
        ("eth_getBlockReceipts", {"status": None}, "does not tell whether it failed"),
        ("eth_getBlockReceipts", {"status": "yes"}, "no number: 'yes'"),
        ("eth_getBlockReceipts", {"transactionHash": word(5)}, "the node tells no receipt of it"),
    ],
)
async def test_a_malformed_transaction_is_set_aside(
    faulty: Fixture, method: str, change: dict[str, Any], reason: str
) -> None:
    def changed(result: Any) -> Any:
        if isinstance(result, list):
            return [result[0] | change]
        return result | {"transactions": [result["transactions"][0] | change]}

    faulty.node.change = changing(method, changed, 6)
    batches = await faulty.read()
    assert values(batches) == [value for value in ALL if value != 106]
    [rejected] = [one for batch in batches for one in batch.rejected]
    assert rejected.place == "block 6, transaction 0"
    assert reason in rejected.reason
    assert '"value"' in rejected.row


async def test_a_failed_transaction_moves_nothing(faulty: Fixture) -> None:
    faulty.node.change = changing(
        "eth_getBlockReceipts", lambda result: [result[0] | {"status": "0x0"}], 6
    )
    batches = await faulty.read()
    assert values(batches) == [value for value in ALL if value != 106]
    assert not any(batch.rejected for batch in batches)


async def test_a_reorganisation_while_blocks_are_read(faulty: Fixture) -> None:
    other = word(77)
    moved = iter([{"blockHash": other}, {}])
    faulty.node.change = changing(
        "eth_getBlockReceipts", lambda result: [result[0] | next(moved, {})], 6
    )
    assert values(await faulty.read()) == ALL
    faulty.node.change = changing("eth_getBlockByNumber", lambda block: block | {"hash": other}, 6)
    with pytest.raises(SourceError, match="block 7 does not stand on block 6, and so it was 5"):
        await faulty.read()
    faulty.node.change = changing(
        "eth_getBlockByNumber", lambda block: block | {"parentHash": other}, 5
    )
    with pytest.raises(SourceError, match=r"block 4 was imported as 0x0+5, and is 0x0+4d now"):
        await faulty.read()


async def test_nesting_without_end(faulty: Fixture) -> None:
    faulty.node.before = [Said(b'{"id": 0, "result": ' + b"[" * 100_000)]
    with pytest.raises(SourceError, match="nested too deeply"):
        await faulty.read()


async def test_a_checkpoint_of_something_else(faulty: Fixture) -> None:
    for checkpoint in ("", "7", "{}", '{"first": 0, "height": "x", "hash": ""}'):
        with pytest.raises(SourceError, match="none of a chain"):
            await faulty.read(checkpoint)
