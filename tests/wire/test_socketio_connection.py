"""Socket.IO connections over a transport in memory: who is let in, and what they get."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from lbproto.frame import Message
from lbproto.testing import settle
from lbproto.transport import CloseCode
from lbproto.wire import Settings
from tests.wire.kit import Program, engine_client, running

pytestmark = pytest.mark.anyio

pack, unpack = msgspec.msgpack.encode, msgspec.msgpack.decode


def welcomed(messages: list[Message], namespace: str = "/") -> bool:
    """Whether these are the answer to a CONNECT: first the reply, then the first event."""
    address = "" if namespace == "/" else namespace + ","
    assert all(isinstance(message, str) for message in messages)
    connect, event = map(str, messages)
    return connect.startswith(f'40{address}{{"sid":"') and event == f'42{address}["welcome"]'


async def test_a_client_is_connected_before_it_gets_events() -> None:
    async with running() as runtime:
        program = Program()
        client = engine_client(runtime, program)
        await settle()
        (handshake,) = client.transport.take()
        assert str(handshake).startswith('0{"sid":')
        assert welcomed(await client.ask("40"))
        assert program.log == [("opened", "/")]
        assert await client.ask('42["echo",1,{"a":[null]}]') == ['42["echo",1,{"a":[null]}]']
        assert await client.ask('427["any",1]') == ["437[1]"]


async def test_binary_events_and_acknowledgements() -> None:
    async with running() as runtime:
        client = engine_client(runtime, Program())
        await client.send("40")
        one = '{"_placeholder":true,"num":0}'
        assert await client.ask(f'451-["echo",{one}]') == []
        assert await client.ask(b"\x01") == [f'451-["echo",{one}]', b"\x01"]
        assert await client.ask(f'451-7["any",{one}]', b"\x02") == [f"461-7[{one}]", b"\x02"]


async def test_messagepack_is_recognised_from_the_first_packet() -> None:
    async with running() as runtime:
        program = Program()
        client = engine_client(runtime, program)
        await settle()
        client.transport.take()
        await client.send(pack({"type": 0, "nsp": "/", "data": msgspec.msgpack.Ext(0, b"\0")}))
        connect, event = map(_unpack, client.transport.take())
        assert (connect["type"], connect["nsp"], list(connect["data"])) == (0, "/", ["sid"])
        assert event == {"type": 2, "nsp": "/", "data": ["welcome"]}
        answer = await client.ask(pack({"type": 2, "nsp": "/", "data": ["echo", b"\xff"], "id": 3}))
        assert list(map(_unpack, answer)) == [{"type": 3, "nsp": "/", "data": [b"\xff"], "id": 3}]
        refusal = await client.ask(pack({"type": 0, "nsp": "/random"}))
        assert list(map(_unpack, refusal)) == [
            {"type": 4, "nsp": "/random", "data": {"message": "Invalid namespace"}}
        ]
        assert await client.ask("40/ws") == []  # text, on a connection that speaks MessagePack
        assert client.transport.closed is not None
        assert client.transport.closed[0] is CloseCode.PROTOCOL_ERROR


def _unpack(message: Message) -> Any:
    assert isinstance(message, bytes)
    return unpack(message)


async def test_binary_on_a_connection_that_speaks_text_closes_it() -> None:
    async with running() as runtime:
        client = engine_client(runtime, Program())
        await client.send("40", pack({"type": 2, "nsp": "/", "data": ["echo"]}))
        assert client.transport.closed is not None
        assert client.transport.closed[0] is CloseCode.PROTOCOL_ERROR


@pytest.mark.parametrize(
    ("token", "body"),
    [
        ("bad", '{"message":"who are you?","data":{"code":"UNAUTHORIZED"}}'),
        ("worse", '{"message":"go away"}'),
    ],
)
async def test_a_refused_client_is_told_and_may_try_again(token: str, body: str) -> None:
    async with running() as runtime:
        program = Program()
        client = engine_client(runtime, program)
        await settle()
        assert await client.ask(f'40{{"token":"{token}"}}') == [f"44{body}"]
        assert await client.ask(f'40/ws,{{"token":"{token}"}}') == [f"44/ws,{body}"]
        assert program.log == []
        assert welcomed(await client.ask("40"))


async def test_a_namespace_nobody_configured_is_refused() -> None:
    async with running() as runtime:
        client = engine_client(runtime, Program())
        await settle()
        assert await client.ask("40/random") == ['44/random,{"message":"Invalid namespace"}']
        assert not client.connection.closed


async def test_namespaces_share_nothing_but_the_connection() -> None:
    async with running() as runtime:
        program = Program()
        client = engine_client(runtime, program)
        await settle()
        sids = set()
        for namespace in ("/", "/ws", "/third"):
            replies = await client.ask("40" if namespace == "/" else "40" + namespace)
            assert welcomed(replies, namespace)
            sids.add(program.sockets[namespace].sid)
        assert len(sids) == 3
        assert await client.ask('42/ws,7["any","a"]', '42/third,7["any","b"]') == [
            '43/ws,7["a"]',
            '43/third,7["b"]',
        ]
        program.sockets["/ws"].state = "mine"
        assert program.sockets["/"].state is None
        await client.send("41/ws")
        assert program.log[-1] == ("closed", "/ws", "client namespace disconnect")
        assert await client.ask('42["echo",1]', '42/third,["echo",2]') == [
            '42["echo",1]',
            '42/third,["echo",2]',
        ]


async def test_a_client_may_leave_a_namespace_and_come_back() -> None:
    async with running() as runtime:
        program = Program()
        client = engine_client(runtime, program)
        await client.send("40", "40/ws")
        first = program.sockets["/ws"].sid
        assert await client.ask("41/ws") == []
        assert welcomed(await client.ask("40/ws"), "/ws")
        assert program.sockets["/ws"].sid != first
        assert await client.ask('42/ws,["echo",1]') == ['42/ws,["echo",1]']


async def test_the_server_may_end_a_socket_and_the_client_may_come_back() -> None:
    async with running() as runtime:
        program = Program()
        client = engine_client(runtime, program)
        await client.send("40", "40/ws")
        assert await client.ask('42/ws,["leave"]') == ["41/ws,"]
        assert program.log[-1] == ("closed", "/ws", "server namespace disconnect")
        # The client may not know yet: what it had under way is not an offence.
        assert await client.ask('42/ws,["echo"]', "41/ws", '43/ws,1["late"]') == []
        assert not client.connection.closed
        assert welcomed(await client.ask("40/ws"), "/ws")
        assert await client.ask('42/ws,["echo",1]') == ['42/ws,["echo",1]']


async def test_ending_a_socket_twice_or_after_the_end_is_fine() -> None:
    async with running() as runtime:
        program = Program()
        client = engine_client(runtime, program)
        await client.send("40")
        socket = program.sockets["/"]
        socket.disconnect()
        socket.disconnect()
        await settle()
        client.connection.lost("the test says so")
        socket.disconnect()
        socket.emit("into the void")
        assert [entry for entry in program.log if entry[0] == "closed"] == [
            ("closed", "/", "server namespace disconnect")
        ]


@pytest.mark.parametrize(
    "messages",
    [
        ('42["echo"]',),
        ("41",),
        ("431[]",),
        ("40", '42/ws,["echo"]'),
        ("40", "41/ws"),
        ("40", "40"),
        ('40{"token":"slow"}', '42["echo"]'),
        ('40{"token":"slow"}', "40"),
        ('40{"token":"slow"}', "41"),
        ('40{"token":"bad"}', '42["echo"]'),
        ("40", "41", '42["echo"]'),
        ("40", "4abc"),
        ("40", "42{}"),
        ("40", '42abc["echo"]'),
        ("40", "4"),
        ("40", "7"),
        ("40", "2"),
        ("40", ""),
        ("40", "5"),
        ("40", b"\x00"),
    ],
    ids=repr,
)
async def test_what_makes_no_sense_closes_the_connection(messages: tuple[Message, ...]) -> None:
    async with running() as runtime:
        program = Program()
        client = engine_client(runtime, program)
        await client.send(*messages)
        assert client.transport.closed is not None
        assert client.transport.closed[0] is CloseCode.PROTOCOL_ERROR
        assert client.connection.closed
        assert program.sockets == {}
        assert not runtime.connections


async def test_only_so_many_namespaces_at_a_time() -> None:
    async with running(Settings(max_namespaces=2)) as runtime:
        client = engine_client(runtime, Program())
        await client.send("40", "40/ws", "41/ws", "40/third")
        assert not client.connection.closed
        await client.send("40/ws")
        assert client.transport.closed == (CloseCode.PROTOCOL_ERROR, "too many namespaces")


async def test_the_close_packet_closes() -> None:
    async with running() as runtime:
        program = Program()
        client = engine_client(runtime, program)
        await client.send("40", "1")
        assert client.transport.closed == (CloseCode.NORMAL, "")
        assert program.log[-1] == ("closed", "/", "transport close")
