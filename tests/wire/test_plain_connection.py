"""Plain WebSocket connections over a transport in memory."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from lbproto.frame import Message
from lbproto.testing import settle
from lbproto.transport import CloseCode
from lbproto.wire.plain import PLAIN_MSGPACK
from tests.wire.kit import Program, plain_client, running

pytestmark = pytest.mark.anyio

pack, unpack = msgspec.msgpack.encode, msgspec.msgpack.decode


def _unpack(message: Message) -> Any:
    assert isinstance(message, bytes)
    return unpack(message)


async def test_a_plain_client_shows_its_token_first() -> None:
    async with running() as runtime:
        program = Program()
        client = plain_client(runtime, program)
        assert await client.ask('{"event":"authenticate","data":{"token":"t"},"id":1}') == [
            '{"event":"welcome","data":{}}',
            '{"event":"ack","data":{"ok":true},"re":1}',
        ]
        assert await client.ask('{"event":"echo","data":{"a":1}}') == [
            '{"event":"echo","data":{"a":1}}'
        ]
        assert await client.ask('{"event":"any","data":5,"id":"x"}') == [
            '{"event":"ack","data":5,"re":"x"}'
        ]
        assert program.log == [("opened", ""), ("echo", ""), ("any", "")]


async def test_a_plain_client_may_show_its_token_with_the_handshake() -> None:
    async with running() as runtime:
        client = plain_client(runtime, Program(), "t", PLAIN_MSGPACK)
        await settle()
        assert list(map(_unpack, client.transport.take())) == [{"event": "welcome", "data": {}}]
        answer = await client.ask(pack({"event": "echo", "data": b"\xff", "id": 2}))
        assert list(map(_unpack, answer)) == [{"event": "ack", "data": b"\xff", "re": 2}]


def _refusal(message: str, id_: int | None = None) -> str:
    error = {"code": "UNAUTHORIZED", "message": message, "event": "authenticate"}
    re = {} if id_ is None else {"re": id_}
    return msgspec.json.encode({"event": "error", "data": error, **re}).decode()


REFUSED: dict[str, tuple[str, str]] = {
    "a bad token": (
        '{"event":"authenticate","data":{"token":"bad"},"id":1}',
        _refusal("who are you?", 1),
    ),
    "another event first": (
        '{"event":"subscribe","id":1}',
        _refusal("authenticate first: the first event is authenticate {token}", 1),
    ),
    "no event": ('{"data":{}}', _refusal("Object missing required field `event`")),
}


@pytest.mark.parametrize(("message", "answer"), REFUSED.values(), ids=REFUSED)
async def test_a_refused_plain_client_is_told_and_closed(message: str, answer: str) -> None:
    async with running() as runtime:
        program = Program()
        client = plain_client(runtime, program)
        assert await client.ask(message, '{"event":"echo"}') == [answer]
        assert client.transport.closed == (CloseCode.UNAUTHORIZED, "unauthorized")
        assert program.log == []


async def test_what_was_sent_behind_a_bad_token_is_not_handled() -> None:
    async with running() as runtime:
        program = Program()
        client = plain_client(runtime, program)
        client.send_nowait('{"event":"authenticate","data":{"token":"bad"}}')
        client.send_nowait('{"event":"echo"}', "{")
        await settle()
        assert client.transport.take() == [_refusal("who are you?")]
        assert program.log == []


INVALID = (
    '{"event":"validation_error","data":{"code":"INVALID_REQUEST",'
    '"message":"Expected `str`, got `int` - at `$.event`"}}'
)


async def test_a_malformed_message_is_answered_and_the_connection_lives() -> None:
    async with running() as runtime:
        client = plain_client(runtime, Program(), "t")
        await settle()
        assert await client.ask('{"event":5}', '{"event":"echo","data":1}') == [
            INVALID,
            '{"event":"echo","data":1}',
        ]


async def test_a_malformed_message_is_answered_in_its_turn() -> None:
    async with running() as runtime:
        program = Program()
        client = plain_client(runtime, program, "t")
        await settle()
        assert await client.ask('{"event":"slow","id":1}', "{") == []
        program.release()
        await settle()
        first, second = client.transport.take()
        assert first == '{"event":"ack","data":{},"re":1}'
        assert str(second).startswith('{"event":"validation_error"')


async def test_a_malformed_message_says_nothing_about_the_token() -> None:
    async with running() as runtime:
        program = Program()
        client = plain_client(runtime, program, "slow")
        assert await client.ask("{") == []
        program.release()
        await settle()
        welcome, error = client.transport.take()
        assert welcome == '{"event":"welcome","data":{}}'
        assert str(error).startswith('{"event":"validation_error"')
        assert not client.connection.closed


async def test_the_server_may_end_a_plain_client() -> None:
    async with running() as runtime:
        program = Program()
        client = plain_client(runtime, program, "t")
        assert (await client.ask('{"event":"leave","id":1}'))[-1:] == [
            '{"event":"ack","data":{},"re":1}'
        ]
        assert client.transport.closed == (
            CloseCode.POLICY_VIOLATION,
            "disconnected by the server",
        )
        assert program.log[-1] == ("closed", "", "server namespace disconnect")
