"""Conversations of the stock client, over real sockets."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.conftest import Serve
from tests.e2e.dropping import Dropping, Loss
from tests.e2e.node import NodeClient
from tests.serving import ServerProcess


@pytest.fixture(params=["uvicorn-uvloop", "hypercorn-trio"])
def server(request: pytest.FixtureRequest, serve: Serve) -> ServerProcess:
    return serve("tests.e2e.chatting:app", request.param)


def turn(client: NodeClient) -> list[tuple[str, Any]]:
    """What a client is told of one turn, each with its payload."""
    told = []
    while True:
        line = client.next()
        name = line.get("event", "")
        if name.startswith("chat_"):
            told.append((name, line["args"][0]))
            if name in ("chat_response", "chat_error"):
                return told


def text_of(told: list[tuple[str, Any]]) -> str:
    messages = [data for name, data in told if name == "chat_message"]
    assert [data["seq"] for data in messages] == list(range(len(messages)))
    assert [data["isFinal"] for data in messages] == [False] * (len(messages) - 1) + [True]
    assert messages[-1]["delta"] == ""
    assert {data["role"] for data in messages} == {"assistant"}
    return "".join(data["delta"] for data in messages)


def connecting(server: ServerProcess) -> Any:
    return NodeClient.connecting(server.http, auth={"token": "token-ada"}, transports=["websocket"])


@pytest.mark.usefixtures("node")
def test_a_conversation(server: ServerProcess) -> None:
    with connecting(server) as client:
        client.event("connected")
        client.emit("chat", {"conversationId": "c1", "message": "How many trades are there?"})
        told = turn(client)
        assert told[0] == ("chat_typing", {"conversationId": "c1"})
        assert "1,000" in text_of(told)
        assert told[-2] == ("chat_stop_typing", {"conversationId": "c1"})
        name, response = told[-1]
        assert name == "chat_response"
        assert response["sql"].upper().startswith("SELECT")
        assert response["tokens"] == sum(response["usage"].values()) > 0

        client.emit("query", {})  # of a plugin that is not there
        client.emit("chat", {"conversationId": "c1", "message": "Who will win the election?"})
        told = turn(client)
        assert text_of(told)
        assert "sql" not in told[-1][1]

        assert client.call("chat_delete", {"conversationId": "c1"})["data"] == {
            "conversationId": "c1",
            "existed": True,
        }


@pytest.mark.usefixtures("node")
def test_it_is_cancelled_in_the_middle(server: ServerProcess) -> None:
    with connecting(server) as client:
        client.event("connected")
        client.emit("chat", {"conversationId": "c2", "message": "count"})
        client.event("chat_message")
        client.emit("cancel", {"id": "c2"})
        told = turn(client)
        assert [name for name, _ in told[-2:]] == ["chat_stop_typing", "chat_error"]
        assert told[-3][1]["isFinal"] is True
        assert told[-1][1]["code"] == "CANCELLED"


@pytest.mark.usefixtures("node")
def test_it_goes_on_where_the_connection_was_lost(server: ServerProcess) -> None:
    with (
        Dropping.before(server.port) as proxy,
        NodeClient.connecting(
            proxy.url(0), auth={"token": "token-ada"}, transports=["websocket"], reconnection=False
        ) as client,
    ):
        client.event("connected")
        client.emit("chat", {"conversationId": "c3", "message": "count"})
        client.event("chat_message")
        with proxy.down(0, Loss.RESET):
            client.until(happened="disconnect")
        client.command(connect=True)
        assert client.until(happened="connect")["recovered"] is True
        client.emit("cancel", {"id": "c3"})
        turn(client)
        told = [line for line in client.seen if line.get("event", "").startswith("chat_")]
        text = text_of([(line["event"], line["args"][0]) for line in told])
        numbers = [int(number) for number in text.split()]
        assert numbers == list(range(len(numbers)))
        assert len(numbers) > 1
