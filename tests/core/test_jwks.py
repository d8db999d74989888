"""Keys fetched from a provider: a real HTTP server in a thread, and a clock that tests move."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import anyio
import jwt
import pytest
from anyio import to_thread
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from lbproto import JWKS, JWT, Clerk, Overloaded, Unauthorized, UsageError
from lbproto.testing import START, VirtualClock
from lbproto.wire import Peer

pytestmark = pytest.mark.anyio

LIFETIME, STALE, PAUSE = 300.0, 86_400.0, 30.0
ISSUER = "https://clerk.example.com"

RSA = rsa.generate_private_key(65537, 2048)
NEXT_RSA = rsa.generate_private_key(65537, 2048)
WEAK_RSA = rsa.generate_private_key(65537, 1024)  # noqa: S505 - it has to be refused
EC = ec.generate_private_key(ec.SECP256R1())

Answer = Callable[[BaseHTTPRequestHandler], None]


def member(key: Any, kid: str | None, **more: Any) -> dict[str, Any]:
    kind = "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"
    text = jwt.get_algorithm_by_name(kind).to_jwk(key.public_key())
    public: dict[str, Any] = json.loads(text)
    public.pop("key_ops", None)  # how a key of this kind is used is said by `use`
    return public | ({} if kid is None else {"kid": kid}) | more


def body(data: bytes, status: int = 200, **headers: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("content-length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)

    return answer


def key_set(*members: dict[str, Any]) -> Answer:
    return body(json.dumps({"keys": members}).encode())


class Provider:
    """Serves what it is told to, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer: Answer = key_set(member(RSA, "k1"))
        self.was_asked = threading.Event()
        self.gate = threading.Event()
        self.gate.set()
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.asked += 1
                provider.was_asked.set()
                provider.gate.wait(20)
                with suppress(OSError):  # the client may have had enough
                    provider.answer(self)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/.well-known/jwks.json"


@pytest.fixture
def provider() -> Iterator[Provider]:
    provider = Provider()
    thread = threading.Thread(target=provider.server.serve_forever, args=(0.01,))
    thread.start()
    yield provider
    provider.gate.set()
    provider.server.shutdown()
    thread.join()
    provider.server.server_close()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


def token(kid: str | None = "k1", key: Any = RSA, **claims: Any) -> str:
    kind = "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"
    payload = {"iss": ISSUER, "sub": "user_1", "exp": START + 10 * STALE, **claims}
    return jwt.encode(payload, key, kind, headers=None if kid is None else {"kid": kid})


def make(provider: Provider, clock: VirtualClock, **options: Any) -> JWT:
    return JWT(JWKS(provider.url, clock=clock, **options), issuer=ISSUER, clock=clock)


async def accepted(authenticator: JWT, shown: str) -> bool:
    try:
        await authenticator.authenticate(shown, Peer())
    except Unauthorized:
        return False
    return True


async def test_keys_are_fetched_once_in_their_lifetime(
    provider: Provider, clock: VirtualClock
) -> None:
    authenticator = make(provider, clock)
    assert provider.asked == 0
    for _ in range(3):
        assert await accepted(authenticator, token())
    assert provider.asked == 1
    clock.jump(LIFETIME - 0.1)
    assert await accepted(authenticator, token())
    assert provider.asked == 1
    clock.jump(0.1)
    assert await accepted(authenticator, token())
    assert provider.asked == 2


async def test_one_fetch_serves_everybody(provider: Provider, clock: VirtualClock) -> None:
    authenticator = make(provider, clock)
    provider.gate.clear()
    let_in = []

    async def enter() -> None:
        let_in.append(await accepted(authenticator, token()))

    async with anyio.create_task_group() as tasks:
        for _ in range(50):
            tasks.start_soon(enter)
        await to_thread.run_sync(provider.was_asked.wait)
        provider.gate.set()
    assert let_in == [True] * 50
    assert provider.asked == 1


async def test_whoever_waits_goes_on_when_the_one_that_fetches_is_cancelled(
    provider: Provider, clock: VirtualClock
) -> None:
    authenticator = make(provider, clock)
    provider.gate.clear()
    let_in = []

    async def enter(scope: anyio.CancelScope) -> None:
        with scope:
            let_in.append(await accepted(authenticator, token()))

    first = anyio.CancelScope()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(enter, first)
        await to_thread.run_sync(provider.was_asked.wait)
        tasks.start_soon(enter, anyio.CancelScope())
        await anyio.sleep(0.01)
        first.cancel()
        await anyio.sleep(0.01)
        provider.gate.set()
    assert let_in == [True]
    assert provider.asked == 2


async def test_a_new_key_is_found_and_an_old_one_forgotten(
    provider: Provider, clock: VirtualClock
) -> None:
    authenticator = make(provider, clock)
    assert await accepted(authenticator, token())
    provider.answer = key_set(member(NEXT_RSA, "k2"), member(EC, "k3"))
    clock.jump(PAUSE)
    assert await accepted(authenticator, token("k2", NEXT_RSA))
    assert await accepted(authenticator, token("k3", EC))
    assert not await accepted(authenticator, token())
    assert provider.asked == 2


async def test_made_up_keys_do_not_hammer_the_provider(
    provider: Provider, clock: VirtualClock
) -> None:
    authenticator = make(provider, clock)
    for number in range(100):
        assert not await accepted(authenticator, token(f"made-up-{number}"))
    assert provider.asked == 1
    clock.jump(PAUSE)
    for number in range(100):
        assert not await accepted(authenticator, token(f"made-up-{number}"))
    assert provider.asked == 2


@pytest.mark.parametrize(
    "broken",
    [
        body(b"", 500),
        body(b"", 404),
        body(b"", 302, location="/elsewhere"),
        body(b"no json"),
        body(b"[]"),
        body(b"7"),
        body(b'{"keys": 7}'),
        body(b'{"keys": []}'),
        body(b'{"keys": [7, {}, {"kty": "RSA"}]}'),
        body(b"[" * 100_000),
        body(b"\xff\xfe"),
        body(json.dumps({"keys": [member(RSA, "k1")], "x": "x" * 300_000}).encode()),
        lambda request: request.connection.close(),
        lambda request: None,
    ],
    ids=[
        "error",
        "not-found",
        "redirect",
        "text",
        "list",
        "number",
        "keys-are-a-number",
        "no-keys",
        "no-usable-keys",
        "deep",
        "no-utf-8",
        "too-large",
        "closed",
        "empty",
    ],
)
async def test_old_keys_are_used_while_there_are_no_new_ones(
    provider: Provider,
    clock: VirtualClock,
    broken: Answer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    authenticator = make(provider, clock)
    assert await accepted(authenticator, token())
    provider.answer = broken
    clock.jump(LIFETIME)
    with caplog.at_level(logging.WARNING):
        assert await accepted(authenticator, token())
    assert "127.0.0.1" in caplog.text
    assert provider.asked == 2
    clock.jump(PAUSE - 0.1)
    assert await accepted(authenticator, token())
    assert provider.asked == 2
    clock.jump(STALE - LIFETIME - PAUSE)
    assert await accepted(authenticator, token())
    clock.jump(0.1)
    with pytest.raises(Overloaded):
        await accepted(authenticator, token())
    provider.answer = key_set(member(RSA, "k1"))
    clock.jump(PAUSE)
    assert await accepted(authenticator, token())


async def test_without_any_keys_it_tries_again_soon(
    provider: Provider, clock: VirtualClock
) -> None:
    authenticator = make(provider, clock)
    provider.answer = body(b"", 503)
    for _ in range(3):
        with pytest.raises(Overloaded, match="keys"):
            await accepted(authenticator, token())
    assert provider.asked == 1
    provider.answer = key_set(member(RSA, "k1"))
    clock.jump(1.0)
    assert await accepted(authenticator, token())


async def test_nobody_there(clock: VirtualClock) -> None:
    authenticator = JWT(JWKS("http://127.0.0.1:9/keys", clock=clock), issuer=ISSUER, clock=clock)
    with pytest.raises(Overloaded):
        await accepted(authenticator, token())


async def test_a_provider_that_drips(provider: Provider, clock: VirtualClock) -> None:
    stop = threading.Event()

    def drip(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        while not stop.is_set():
            request.wfile.write(b" ")
            time.sleep(0.02)

    provider.answer = drip
    try:
        with pytest.raises(Overloaded):
            await accepted(make(provider, clock, timeout=0.2), token())
    finally:
        stop.set()


@pytest.mark.parametrize(
    "unfit",
    [
        member(RSA, "k1", use="enc"),
        member(RSA, "k1", alg="HS256"),
        member(RSA, "k1", alg="RS512"),
        member(WEAK_RSA, "k1"),
        {"kty": "oct", "k": "c2VjcmV0", "kid": "k1"},
        {"kty": "OKP", "crv": "Ed25519", "x": "", "kid": "k1"},
    ],
    ids=["for-encryption", "symmetric", "other-algorithm", "weak", "secret", "broken"],
)
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
async def test_keys_that_are_not_for_this(
    provider: Provider, clock: VirtualClock, unfit: dict[str, Any]
) -> None:
    provider.answer = key_set(unfit, member(NEXT_RSA, "k2"))
    authenticator = make(provider, clock)
    key = WEAK_RSA if unfit.get("n") == member(WEAK_RSA, "k1")["n"] else RSA
    assert not await accepted(authenticator, token("k1", key))
    assert await accepted(authenticator, token("k2", NEXT_RSA))


async def test_a_token_that_names_no_key(provider: Provider, clock: VirtualClock) -> None:
    provider.answer = key_set(member(NEXT_RSA, "k2"), member(RSA, None), member(EC, "k3"))
    authenticator = make(provider, clock)
    assert await accepted(authenticator, token(None, RSA))
    assert await accepted(authenticator, token(None, EC))


@pytest.mark.parametrize(
    "url",
    ["http://example.com/keys", "ftp://127.0.0.1/", "file:///etc/passwd", "https://", "", "keys"],
)
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(UsageError, match="HTTPS"):
        JWKS(url)


def test_urls_that_are_fine() -> None:
    for url in ("https://example.com/keys", "http://localhost:1/", "http://[::1]:1/"):
        JWKS(url)
    Clerk("https://clerk.example.com/")
