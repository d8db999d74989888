"""The wire: Engine.IO v4, Socket.IO v5 and plain WebSocket without I/O, and the port above them.

Public, below authentication and registry. What runs it is in `lbproto.asgi`.
"""

from lbproto.frame import Frame, Message
from lbproto.transport import CloseCode, Peer
from lbproto.wire.arguments import Arguments
from lbproto.wire.formats import RequestId, WireFormat
from lbproto.wire.port import (
    CLIENT_LEFT,
    SERVER_LEFT,
    Handler,
    Inbound,
    Link,
    MessageHandler,
    Refused,
    Socket,
    Unavailable,
)
from lbproto.wire.settings import ProtocolError, Settings

__all__ = [
    "CLIENT_LEFT",
    "SERVER_LEFT",
    "Arguments",
    "CloseCode",
    "Frame",
    "Handler",
    "Inbound",
    "Link",
    "Message",
    "MessageHandler",
    "Peer",
    "ProtocolError",
    "Refused",
    "RequestId",
    "Settings",
    "Socket",
    "Unavailable",
    "WireFormat",
]
