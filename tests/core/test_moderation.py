"""Members, kick, disconnect and ban."""

from __future__ import annotations

import pytest

from lbproto.testing import VirtualClock
from lbproto.wire import Refused
from tests.core.sessions import (
    Rooms,
    come,
    lose,
    request,
    serve,
    subscribe,
)

pytestmark = pytest.mark.anyio


async def test_members_kick_and_disconnect(rooms: Rooms, clock: VirtualClock) -> None:
    server = serve(rooms, clock)
    async with server.lifespan():
        ada, away, bob = await come(server), await come(server), await come(server, "bob")
        for client in (ada, away, bob):
            await subscribe(server, client)
        lose(server, away)
        members = await server.members("room:a")
        assert [session.user_id for session in members] == ["ada", "ada", "bob"]
        assert server.room_statistics("room:a").away == 1
        bob.take()
        ada.take()
        assert await server.kick("ada", "room:a") == 2
        assert [sent.name for sent in ada.take()] == ["unsubscribed"]
        assert [sent.name for sent in bob.take()] == ["user_left_room"]
        assert await server.kick("ada", "room:a") == 0
        back = await come(server, **away.resume)
        assert back.names == ["connected", "user_joined_room", "unsubscribed", "recovered"]
        assert await server.disconnect("ada") == 2
        assert (ada.socket.disconnects, back.socket.disconnects) == (1, 1)
        assert (await come(server, **back.resume)).names[-1] == "session_lost"


async def test_one_of_a_users_sessions_is_ended(rooms: Rooms, clock: VirtualClock) -> None:
    server = serve(rooms, clock)
    async with server.lifespan():
        one, other, away = await come(server), await come(server), await come(server)
        lose(server, away)
        assert await server.disconnect_session(one.socket.sid)
        assert await server.disconnect_session(away.socket.sid)
        assert not await server.disconnect_session("nobody's")
        assert (one.socket.disconnects, other.socket.disconnects) == (1, 0)
        assert (await come(server, **away.resume)).names[-1] == "session_lost"


async def test_bans(rooms: Rooms, clock: VirtualClock) -> None:
    server = serve(rooms, clock)
    async with server.lifespan():
        client = await come(server)
        await subscribe(server, client)
        await server.ban("ada", "room:a", seconds=600)
        assert [sent.name for sent in client.take()] == ["unsubscribed"]
        (refused,) = await request(server, client, "subscribe", room="room:a")
        assert refused.data["message"] == "You are banned from this room"
        assert await subscribe(server, client, "room:b") == 1
        await clock.advance(600.0)
        assert await subscribe(server, client) == 1
        await server.ban("ada", "room:b")
        await server.unban("ada", "room:b")
        client.take()
        assert await subscribe(server, client, "room:b") == 1
        await server.ban("ada")
        assert client.socket.disconnects == 1
        with pytest.raises(Refused, match="banned from this server"):
            await come(server)
        await server.unban("ada")
        assert (await come(server)).names == ["connected"]


async def test_a_ban_while_away(rooms: Rooms, clock: VirtualClock) -> None:
    server = serve(rooms, clock)
    async with server.lifespan():
        client = await come(server)
        await subscribe(server, client)
        lose(server, client)
        await server._bans.add("ada", "room:a", None)  # as another node does
        again = await come(server, **client.resume)
        assert again.names == ["connected", "unsubscribed", "error", "recovered"]
