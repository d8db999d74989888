"""How a client finds its server: addresses, TLS, and what it needs to be installed."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from anyio.streams.tls import TLSListener

from lbproto import Client, Disconnected, UsageError
from lbproto.client import Wire
from lbproto.client.address import Address
from tests.certificates import self_signed
from tests.client.kit import Double, Doubled, Proxy, Site, connected, served

ENGINE = "EIO=4&transport=websocket"


@pytest.mark.parametrize(
    ("url", "plain", "socketio"),
    [
        ("ws://h", "ws://h/ws", f"ws://h/socket.io/?{ENGINE}"),
        ("http://h:81/", "ws://h:81/ws", f"ws://h:81/socket.io/?{ENGINE}"),
        ("wss://h/api/ws", "wss://h/api/ws", f"wss://h/api/socket.io/?{ENGINE}"),
        ("https://h/api/socket.io/", "wss://h/api/ws", f"wss://h/api/socket.io/?{ENGINE}"),
        ("ws://[::1]:8/?a=b#c", "ws://[::1]:8/ws?a=b", f"ws://[::1]:8/socket.io/?a=b&{ENGINE}"),
    ],
)
def test_one_url_does_for_every_wire(url: str, plain: str, socketio: str) -> None:
    assert Address.of(url, socketio=False).url == plain
    assert Address.of(url, socketio=True).url == socketio
    assert "?" not in str(Address.of(url, socketio=True))


@pytest.mark.parametrize(
    "url",
    ["", "h:80", "ws://", "ftp://h", "ws://h:0", "ws://h:70000", "ws://ada:secret@h", "ws://["],
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(UsageError, match="is not a server address; use ws://"):
        Client(url)


def test_where_to_connect_is_read_from_it() -> None:
    address = Address.of("wss://h/x", socketio=False)
    assert (address.host, address.port, address.secure) == ("h", 443, True)
    assert Address.of("http://h", socketio=False).port == 80


def test_without_websockets_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lbproto.client.client.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'lbproto\[client\]'"):
        Client("ws://localhost")


@pytest.mark.anyio
async def test_nobody_is_there() -> None:
    for url, told in (
        ("ws://127.0.0.1:1", "nothing listens"),
        ("ws://no.invalid", "cannot connect"),
    ):
        with pytest.raises(Disconnected, match=told) as error:
            async with Client(url):
                raise AssertionError("somebody was there")
        assert error.value.retryable


# TLS


Files = tuple[Path, Path]


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A certificate, and its key."""
    return self_signed(tmp_path_factory.mktemp("tls"))


@asynccontextmanager
async def behind_tls(url: str, files: Files) -> AsyncIterator[str]:
    """The address of a server that is spoken to by TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*files)
    async with Proxy.before(url, lambda inner: TLSListener(inner, context)) as proxy:
        yield proxy.url.replace("ws://", "wss://")


@pytest.mark.anyio
@pytest.mark.parametrize("wire", ["plain-json", "socketio-json"])
async def test_tls_by_a_context(files: Files, wire: Wire) -> None:
    trusting = ssl.create_default_context(cafile=files[0])
    async with (
        served(Site().plugin()) as url,
        behind_tls(url, files) as secure,
        connected(secure, wire=wire, ssl=trusting) as client,
    ):
        answer = await client.request(Double(number=1, raw=b"x" * 100_000), Doubled)
        assert len(answer.raw) == 200_000


@pytest.mark.anyio
async def test_who_is_not_to_be_trusted(files: Files) -> None:
    async with served(Site().plugin()) as url, behind_tls(url, files) as secure:
        with pytest.raises(Disconnected, match="is not trusted") as error:
            async with connected(secure):
                raise AssertionError("it was trusted")
        assert not error.value.retryable
        with pytest.raises(Disconnected, match="does not speak TLS"):
            async with connected(url.replace("ws://", "wss://")):
                raise AssertionError("it was trusted")
