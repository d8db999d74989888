"""Where the server is: one URL for every wire."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from lbproto.errors import UsageError

__all__ = ["Address"]

_SCHEMES = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}
_PORTS = {"ws": 80, "wss": 443}
_PLAIN, _SOCKETIO = "/ws", "/socket.io"
_ENGINE = "EIO=4&transport=websocket"


@dataclass(frozen=True, slots=True)
class Address:
    """A server's address on one wire.

    Attributes:
        url: what is asked for.
        host: the name in it.
        port: its port, or that of its scheme.
        secure: whether TLS is spoken there.
    """

    url: str
    host: str
    port: int
    secure: bool

    @classmethod
    def of(cls, url: str, *, socketio: bool) -> Address:
        """Read an address: `ws://`, `wss://`, or the same as `http://` and `https://`.

        Args:
            url: it may end in the path of a wire, which is replaced by that of this one.
            socketio: whether Socket.IO is spoken, or else plain WebSocket.

        Raises:
            UsageError: it is not a server address.
        """
        try:
            parts = urlsplit(url)
            scheme = _SCHEMES[parts.scheme]
            host, port = parts.hostname, parts.port
            if not host or port == 0 or parts.username is not None:
                raise ValueError
        except (KeyError, ValueError):
            raise UsageError(f"{url!r} is not a server address; use ws://host:port") from None
        path = parts.path.rstrip("/").removesuffix(_PLAIN).removesuffix(_SOCKETIO)
        query = parts.query
        if socketio:
            path += f"{_SOCKETIO}/"
            query = f"{query}&{_ENGINE}" if query else _ENGINE
        else:
            path += _PLAIN
        whole = parts._replace(scheme=scheme, path=path, query=query, fragment="").geturl()
        return cls(whole, host, port or _PORTS[scheme], scheme == "wss")

    def __str__(self) -> str:
        """The address without its query, which may hold secrets."""
        return self.url.partition("?")[0]
