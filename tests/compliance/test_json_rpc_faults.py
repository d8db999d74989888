"""A node that is out of reach, overloaded or cut off: what passes is waited for, or told."""

from __future__ import annotations

import gzip
import json
import logging
import threading

import pytest

from lbproto_compliance.sources.batches import Batch, SourceError
from tests.compliance.faulty_node import ALL, Node, Reading, block, values
from tests.compliance.web_server import Asked, Said, answering

pytestmark = pytest.mark.anyio


async def test_a_node_that_does_not_fail(faulty: Reading) -> None:
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
async def test_what_passes_is_asked_again(faulty: Reading, said: Said) -> None:
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
async def test_a_limit_is_kept(faulty: Reading, header: str, wait: float) -> None:
    faulty.node.before = [Said(status=429, headers=(("retry-after", header),))]
    assert values(await faulty.read()) == ALL
    assert faulty.slept == [wait]


async def test_a_node_that_goes_down_is_gone_on_with_later(faulty: Reading) -> None:
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
        await Reading(Node(), url).read()


async def test_a_node_that_does_not_answer(faulty: Reading) -> None:
    done = threading.Event()

    def never(asked: Asked) -> Said:
        done.wait()
        return Said()

    with answering(never) as url:
        try:
            with pytest.raises(SourceError, match=r"no answer within 0.3 s\. Asked 2 times"):
                await Reading(faulty.node, url).read(attempts=2, seconds=0.3)
        finally:
            done.set()


async def test_answers_that_are_too_large_are_asked_for_in_parts(faulty: Reading) -> None:
    one = len(json.dumps(block(0))) + 200
    assert values(await faulty.read(max_bytes=2 * one)) == ALL
    assert faulty.slept == []
    with pytest.raises(SourceError, match="an answer of more than 300 bytes"):
        await faulty.read(max_bytes=300)


async def test_packed_answers(faulty: Reading) -> None:
    def packed(asked: Asked) -> Said:
        said = faulty.node(asked)
        return Said(gzip.compress(said.body), headers=(("content-encoding", "gzip"),))

    with answering(packed) as url:
        assert values(await Reading(faulty.node, url).read()) == ALL


async def test_a_packed_answer_is_not_unpacked_without_end(faulty: Reading) -> None:
    packed = gzip.compress(b" " * 50_000_000)
    faulty.node.before = [Said(packed, headers=(("content-encoding", "gzip"),))]
    with pytest.raises(SourceError, match="an answer of more than 1000000 bytes"):
        await faulty.read(max_bytes=1_000_000)


async def test_answers_in_any_order(faulty: Reading) -> None:
    def backwards(asked: Asked) -> Said:
        answers = json.loads(faulty.node(asked).body)
        return Said(json.dumps(answers[::-1] if isinstance(answers, list) else answers).encode())

    with answering(backwards) as url:
        assert values(await Reading(faulty.node, url).read()) == ALL


async def test_a_node_that_knows_no_batches(faulty: Reading) -> None:
    def alone(asked: Asked) -> Said:
        if asked.body.startswith(b"["):
            error = {"code": -32600, "message": "no batches"}
            return Said(json.dumps({"jsonrpc": "2.0", "id": None, "error": error}).encode())
        return faulty.node(asked)

    with answering(alone) as url:
        assert values(await Reading(faulty.node, url).read()) == ALL


@pytest.mark.parametrize("status", [400, 401, 403, 404, 301])
async def test_a_refusal_is_told_at_once_and_without_the_key(
    faulty: Reading, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    faulty.node.before = [Said(status=status)]
    source = faulty.source(path="/v3/secret-key")
    with pytest.raises(SourceError, match=f"it answers {status}") as refused:
        await anext(source.batches(None))
    assert "127.0.0.1" in str(refused.value)
    assert "secret" not in str(refused.value) + source.name + caplog.text
    assert faulty.node.requests == 1


async def test_nesting_without_end(faulty: Reading) -> None:
    faulty.node.before = [Said(b'{"id": 0, "result": ' + b"[" * 100_000)]
    with pytest.raises(SourceError, match="nested too deeply"):
        await faulty.read()
