"""Every scheme against every attack: who has no right gets in nowhere, and no secret is logged."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from functools import partial

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from lbproto import (
    JWT,
    PEM,
    APIKey,
    APIKeys,
    Authenticator,
    Identity,
    Server,
    Unauthorized,
    UsageError,
)
from lbproto.connection.engineio import EngineConnection
from lbproto.connection.plain import PlainConnection
from lbproto.connection.socketio import SocketIO
from lbproto.testing import START, VirtualClock
from lbproto.wire import CloseCode, Peer
from lbproto.wire.plain import PLAIN_JSON
from tests.core.attacks import (
    ATTACKS,
    ISSUER,
    MATRIX,
    OPAQUE,
    SCHEMES,
    PrivateKey,
    Scheme,
    changed,
    key_pair,
    public_pem,
    rsa_key,
    secrets,
    static,
)
from tests.core.harness import MemoryTransport

pytestmark = pytest.mark.anyio


def check_log(caplog: pytest.LogCaptureFixture, token: str) -> None:
    shown = caplog.text
    for secret in secrets():
        assert secret not in shown
    for part in (token, *token.split(".")):
        assert len(part) < 20 or part not in shown


@pytest.mark.parametrize(("scheme", "attack"), MATRIX)
async def test_an_attack_on_signed_tokens(
    scheme: Scheme, attack: Callable[[Scheme], str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    token = attack(scheme)
    with pytest.raises(Unauthorized) as refusal:
        await scheme.make(VirtualClock()).authenticate(token, Peer())
    assert refusal.value.message
    if len(token) > 20:
        assert token not in refusal.value.message
    check_log(caplog, token)


@pytest.mark.parametrize(("make", "attack"), OPAQUE.values(), ids=OPAQUE)
async def test_an_attack_on_opaque_tokens(
    make: Callable[[], Authenticator],
    attack: Callable[[], str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(Unauthorized) as refusal:
        await make().authenticate(attack(), Peer())
    assert refusal.value.message in (
        "the token is missing or not known",
        "the API key is missing or not known",
        "the API key has expired",
    )
    check_log(caplog, attack())


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)
async def test_a_rightful_token(scheme: Scheme) -> None:
    clock = VirtualClock()
    authenticator = scheme.make(clock)
    identity = await authenticator.authenticate(scheme.token(), Peer())
    assert (identity.user_id, identity.expires_at) == ("user_1", START + 60)
    assert identity.claims == scheme.claims
    # Within the leeway, on both sides, and an instant beyond it.
    await authenticator.authenticate(scheme.token(nbf=START + 5, iat=START + 5), Peer())
    await authenticator.authenticate(scheme.token(exp=START - 4.9), Peer())
    await clock.advance(64.9)
    await authenticator.authenticate(scheme.token(), Peer())
    await clock.advance(0.1)
    with pytest.raises(Unauthorized, match="expired"):
        await authenticator.authenticate(scheme.token(), Peer())


async def test_rightful_opaque_tokens() -> None:
    key, record = key_pair()
    claims = {"applications": ["a"]}
    assert await static().authenticate("secret", Peer()) == Identity("ada")
    assert await changed().authenticate(key, Peer()) == Identity("machine", claims, START + 60)

    async def look_up(id_: str) -> APIKey | None:
        return record if id_ == record.id else None

    keys = APIKeys(look_up, clock=VirtualClock())
    assert (await keys.authenticate(key, Peer())).user_id == "machine"
    assert key.split("_", 2)[2] not in repr(record)  # a secret may have underscores
    assert record.digest not in repr(record)


@pytest.mark.parametrize("pem", [b"", b"x", public_pem(rsa_key())[:80]], ids=["none", "x", "cut"])
def test_what_is_no_public_key(pem: bytes) -> None:
    with pytest.raises(UsageError, match="not a public key"):
        PEM(pem)


@pytest.mark.parametrize(
    "key",
    [
        rsa_key(bits=1024),
        ec.generate_private_key(ec.SECP384R1()),
        ec.generate_private_key(ec.SECP256K1()),
    ],
    ids=["rsa-1024", "p-384", "secp256k1"],
)
def test_keys_that_are_weak_or_of_another_kind(key: PrivateKey) -> None:
    with pytest.raises(UsageError, match="2048 bits"):
        PEM(public_pem(key))


@pytest.mark.parametrize("algorithms", [["HS256"], ["none"], ["RS256", "HS256"], []])
def test_only_asymmetric_algorithms_can_be_configured(algorithms: list[str]) -> None:
    with pytest.raises(UsageError, match="RS256, ES256"):
        JWT(PEM(public_pem(rsa_key())), issuer=ISSUER, algorithms=algorithms)


# End to end: what a refused client sees, on both wires

Door = tuple[Callable[[VirtualClock], Authenticator], Callable[[], str]]

DOORS: dict[str, Door] = {
    f"{name}-{title}": (scheme.make, partial(ATTACKS[title], scheme))
    for name, scheme in SCHEMES.items()
    for title in ("missing", "alg-none", "hs256-with-public-key", "expired", "other-key")
}
DOORS["static-wrong"] = lambda _: static(), OPAQUE["static-wrong"][1]
DOORS["key-disabled"] = lambda _: changed(disabled=True), OPAQUE["key-disabled"][1]


@pytest.mark.parametrize(("make", "attack"), DOORS.values(), ids=DOORS)
async def test_a_refused_client_is_told_so(
    make: Callable[[VirtualClock], Authenticator],
    attack: Callable[[], str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    clock = VirtualClock()
    server = Server(auth=make(clock), clock=clock)
    token = attack()
    async with server.lifespan():
        transport = MemoryTransport()
        engine = EngineConnection(
            server.runtime,
            Peer(),
            lambda connection: SocketIO(connection, server.sessions, server.namespaces),
            transport,
        )
        engine.receive("40" + json.dumps({"token": f"Bearer {token}"}))
        await engine.work()
        await engine.flush()
        (refusal,) = (sent for sent in transport.sent if str(sent).startswith("44"))
        body = json.loads(str(refusal)[2:])
        assert body["data"] == {"code": "UNAUTHORIZED", "message": body["message"]}
        assert transport.closed is None  # the connection may serve another try

        transport = MemoryTransport()
        plain = PlainConnection(
            server.runtime, Peer(), transport, server.sessions, PLAIN_JSON, f"Bearer {token}"
        )
        await plain.work()
        await plain.flush()
        frame = msgspec.json.decode(transport.sent[0])
        assert frame["event"] == "error"
        assert frame["data"] == {
            "code": "UNAUTHORIZED",
            "message": body["message"],
            "event": "authenticate",
        }
        assert transport.closed is not None
        assert transport.closed[0] is CloseCode.UNAUTHORIZED
        assert len(server.sessions.directory) == 0
        for connection in list(server.runtime.connections):
            connection.lost("the test is over")
    check_log(caplog, token)
