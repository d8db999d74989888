"""A client in Python, on asyncio and trio, typed by the events that the server is made of.

It needs `lbproto[client]`.
"""

from lbproto.client.bounds import Bounds, Reconnect
from lbproto.client.client import Client
from lbproto.client.codecs import Wire
from lbproto.client.errors import Disconnected, TooSlow
from lbproto.client.following import Following
from lbproto.client.listening import Listener, RawEvent
from lbproto.client.target import Token

__all__ = [
    "Bounds",
    "Client",
    "Disconnected",
    "Following",
    "Listener",
    "RawEvent",
    "Reconnect",
    "Token",
    "TooSlow",
    "Wire",
]
