"""How long sessions may last, and for whom: tokens that end, are renewed or revoked."""

from __future__ import annotations

import pytest

from lbproto import (
    Admission,
    Identity,
)
from lbproto.testing import START, VirtualClock
from lbproto.wire import CloseCode, Refused
from tests.core.sessions import (
    Rooms,
    come,
    lose,
    request,
    serve,
)

pytestmark = pytest.mark.anyio


async def test_a_tokens_end_means_nothing_by_default(rooms: Rooms, clock: VirtualClock) -> None:
    server = serve(rooms, clock)
    async with server.lifespan():
        client = await come(server, "ada/60")
        await clock.advance(3_600.0)
        assert client.take() == []
        assert client.socket.closed_with == []


@pytest.mark.parametrize(("life", "warned"), [(600.0, 540.0), (60.0, 30.0), (1.0, 0.5)])
async def test_an_enforced_end(
    rooms: Rooms, clock: VirtualClock, life: float, warned: float
) -> None:
    server = serve(rooms, clock, admission=Admission(expiry="enforce"))
    async with server.lifespan():
        client = await come(server, f"ada/{life}")
        await clock.advance(warned - 0.01)
        assert client.take() == []
        await clock.advance(0.01)
        (expiring,) = client.take()
        assert expiring.name == "session_expiring"
        assert expiring.data["expiresAt"].startswith("2026-01-20T12:")
        await clock.advance(life - warned - 0.01)
        assert client.socket.closed_with == []
        await clock.advance(0.01)
        ((code, _),) = client.socket.closed_with
        assert code is CloseCode.UNAUTHORIZED
        lose(server, client)
        again = await come(server, "ada/9999", **client.resume)
        assert again.names[-1] == "recovered"


async def test_renewal(rooms: Rooms, clock: VirtualClock) -> None:
    server = serve(rooms, clock, admission=Admission(expiry="enforce"))
    async with server.lifespan():
        client = await come(server, "ada/100")
        await clock.advance(50.0)
        assert [sent.name for sent in client.take()] == ["session_expiring"]
        (refused,) = await request(server, client, "authenticate", token="bob/1000")
        assert (refused.name, refused.data["code"]) == ("error", "UNAUTHORIZED")
        (refused,) = await request(server, client, "authenticate", token="")
        assert refused.data["code"] == "UNAUTHORIZED"
        assert await request(server, client, "authenticate", token="Bearer ada/1000") == []
        await clock.advance(800.0)
        assert client.take() == []
        assert client.session.identity.expires_at == START + 1000
        await clock.advance(150.0)
        assert client.socket.closed_with


async def test_the_highest_age(rooms: Rooms, clock: VirtualClock) -> None:
    server = serve(rooms, clock, admission=Admission(max_session_age=3_600.0))
    async with server.lifespan():
        client = await come(server)
        await clock.advance(1_800.0)
        lose(server, client)
        again = await come(server, **client.resume)
        assert again.names[-1] == "recovered"
        await clock.advance(1_799.9)
        assert again.socket.closed_with == []
        await clock.advance(0.1)
        ((code, _),) = again.socket.closed_with
        assert code is CloseCode.GOING_AWAY
        assert len(server.sessions.directory) == 0


async def test_revoked_tokens(rooms: Rooms, clock: VirtualClock) -> None:
    revoked: set[str] = set()

    async def is_revoked(identity: Identity) -> bool:
        return identity.user_id in revoked

    server = serve(rooms, clock, admission=Admission(revoked=is_revoked))
    async with server.lifespan():
        client = await come(server)
        revoked.add("ada")
        (refused,) = await request(server, client, "authenticate", token="ada")
        assert refused.data["message"] == "the token has been revoked"
        lose(server, client)
        with pytest.raises(Refused, match="revoked"):
            await come(server, **client.resume)


async def test_applications(rooms: Rooms, clock: VirtualClock) -> None:
    server = serve(rooms, clock)
    async with server.lifespan():
        ada, bob = await come(server, "ada"), await come(server, "bob")
        for client, application, allowed in (
            (ada, "default", True),
            (ada, "acme", True),
            (ada, "other", False),
            (bob, "acme", False),
        ):
            (answer,) = await request(server, client, "own", applicationId=application)
            assert answer.name == ("owned" if allowed else "error")
            assert allowed or answer.data["code"] == "UNAUTHORIZED"
