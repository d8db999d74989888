"""Answers by a model: behind a real socket, over a real engine, on a server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from lbproto.ledger.memory import MemoryLedger
from lbproto.messages import Cancel
from lbproto.testing import Client, connect, serve, settle
from lbproto_chat import (
    Chat,
    ChatError,
    ChatMessage,
    ChatResponse,
    ChatStopTyping,
    ModelAnswerer,
    TokenPrice,
    Usage,
    chat,
)
from lbproto_chat.openai_compatible import OpenAICompatible
from lbproto_query import DuckDBEngine

pytestmark = pytest.mark.anyio

NewModel = Callable[..., OpenAICompatible]
TABLES = {"default": {"trades": "One row per trade"}}
COUNT = "SELECT count(*)::INTEGER AS trades FROM trades"
ASKED = ["```sql\n", COUNT, ";\n```"]


async def until_end(client: Client) -> list[Any]:
    """What comes of a turn that talks to sockets."""
    told: list[Any] = []
    with anyio.fail_after(60):
        while not any(isinstance(event, ChatResponse | ChatError) for event in told):
            told += await client.take()
            await anyio.sleep(0.002)  # sockets have no clock that could be moved
    return told


def said(told: list[Any]) -> str:
    return "".join(event.delta for event in told if isinstance(event, ChatMessage))


async def turn(model: OpenAICompatible, engine: DuckDBEngine, text: str = "How many?") -> list[Any]:
    """One turn of a conversation with nothing before it."""
    answerer = ModelAnswerer(model, engine, TABLES)
    async with serve(chat(answerer, resources=model)) as server, connect(server, "ada") as client:
        client.emit(Chat(conversation_id="c", message=text))
        return await until_end(client)


async def test_an_answer_from_the_data(
    scripted: Any, new_model: NewModel, engine: DuckDBEngine
) -> None:
    scripted.says(ASKED, ["There are ", "5 trades."])
    told = await turn(new_model(), engine)
    assert said(told) == "There are 5 trades."
    assert isinstance(told[-1], ChatResponse)
    assert told[-1].sql == COUNT
    assert (told[-1].tokens, told[-1].usage) == (220, Usage(200, 20))
    first, second = (request["messages"] for request in scripted.requests)
    assert second[: len(first)] == first
    assert '"columns":{"i":"INTEGER","note":"VARCHAR"}' in first[1]["content"]
    assert '{"columns":["trades"],"rows":[[5]],"moreRows":false}' in second[-1]["content"]


async def test_an_answer_without_the_data(
    scripted: Any, new_model: NewModel, engine: DuckDBEngine
) -> None:
    scripted.says(["Hello", ", ", "ask me about trades"])
    told = await turn(new_model(), engine)
    assert said(told) == "Hello, ask me about trades"
    assert told[-1].sql is None


async def test_words_before_the_statement(
    scripted: Any, new_model: NewModel, engine: DuckDBEngine
) -> None:
    scripted.says(["Let me look. ", *ASKED], ["Five."])
    assert said(await turn(new_model(), engine)) == "Let me look. \n\nFive."


async def test_a_statement_is_corrected_once(
    scripted: Any, new_model: NewModel, engine: DuckDBEngine
) -> None:
    wrong = ["```sql\nSELECT nothing FROM trades\n```"]
    scripted.says(wrong, ASKED, ["Five."])
    told = await turn(new_model(), engine)
    assert (said(told), told[-1].sql) == ("Five.", COUNT)
    assert "nothing" in scripted.requests[1]["messages"][-1]["content"]

    scripted.says(wrong, wrong, ["never"])
    told = await turn(new_model(), engine)
    assert (told[-1].code, said(told)) == ("NOT_FOUND", "")
    assert len(scripted.requests) == 5


async def test_what_the_guard_refuses_is_not_tried_again(
    scripted: Any, new_model: NewModel, engine: DuckDBEngine
) -> None:
    scripted.says(["```sql\nDROP TABLE trades\n```"], ["never"])
    told = await turn(new_model(), engine)
    assert told[-1].code == "UNAUTHORIZED"
    assert len(scripted.requests) == 1


async def test_large_results_are_cut(
    scripted: Any, new_model: NewModel, engine: DuckDBEngine
) -> None:
    sql = "SELECT repeat('x', 5000) AS a FROM trades, range(1000) ORDER BY 1"
    scripted.says([f"```sql\n{sql}\n```"], ["Many."])
    assert (await turn(new_model(), engine))[-1].sql == sql
    content = scripted.requests[-1]["messages"][-1]["content"]
    assert len(content) < 13_000
    assert f'["{"x" * 200}\\u2026"]' in content
    assert '"moreRows":true' in content


async def test_a_follow_up_knows_what_was_said(
    scripted: Any, new_model: NewModel, engine: DuckDBEngine
) -> None:
    scripted.says(["Hello Ada"], ["Hello again"])
    model = new_model()
    plugin = chat(ModelAnswerer(model, engine, TABLES), resources=model)
    async with serve(plugin) as server, connect(server, "ada") as client:
        for text in ("I am Ada", "Who am I?"):
            client.emit(Chat(conversation_id="c", message=text, context={"page": 1}))
            await until_end(client)
    messages = scripted.requests[-1]["messages"]
    assert [each["content"] for each in messages[-3:]] == [
        "I am Ada",
        "Hello Ada",
        'Who am I?\nDATA context: {"page":1}',
    ]


async def test_a_cancelled_turn_closes_the_models_connection(
    scripted: Any, new_model: NewModel, engine: DuckDBEngine
) -> None:
    scripted.says(["Well", anyio.Event()])
    model = new_model()
    plugin = chat(ModelAnswerer(model, engine, TABLES), resources=model)
    async with serve(plugin) as server, connect(server, "ada") as client:
        client.emit(Chat(conversation_id="c", message="Hi"))
        while not any(isinstance(event, ChatMessage) for event in await client.take()):
            await settle()
        client.emit(Cancel(id="c"))
        stop, error = (await until_end(client))[-2:]
        assert isinstance(stop, ChatStopTyping)
        assert error.code == "CANCELLED"
        await scripted.left.wait()
    assert scripted.closed == 1


async def test_a_model_that_dies_in_the_middle_is_paid_as_far_as_it_came(
    scripted: Any, new_model: NewModel, engine: DuckDBEngine
) -> None:
    scripted.says(["one ", "two ", "three", scripted.CUT])
    model = new_model()
    price = TokenPrice(prompt=0, completion=10, overhead=0, expected=5)
    plugin = chat(ModelAnswerer(model, engine, TABLES), resources=model, price=price)
    async with (
        serve(plugin, credits=MemoryLedger()) as server,
        connect(server, "ada") as client,
    ):
        await server.credits.grant("ada", 1_000, "a gift")
        client.emit(Chat(conversation_id="c", message="Hi"))
        told = await until_end(client)
        assert said(told) == "one two three"
        stop, error = [each for each in told if isinstance(each, ChatStopTyping | ChatError)]
        assert isinstance(stop, ChatStopTyping)
        assert isinstance(error, ChatError)
        assert (error.code, error.conversation_id) == ("OVERLOADED", "c")
        await settle()
        assert (await server.credits.balance("ada")).available == 970


async def test_another_application_has_nothing_to_talk_about(
    scripted: Any, new_model: NewModel, engine: DuckDBEngine
) -> None:
    scripted.says(["never"])
    model = new_model()
    plugin = chat(ModelAnswerer(model, engine, {"shop": {}}), resources=model)
    async with serve(plugin) as server, connect(server, "ada") as client:
        client.emit(Chat(conversation_id="c", message="Hi"))
        assert (await until_end(client))[-1].code == "NOT_FOUND"
    assert scripted.requests == []
