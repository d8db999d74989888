"""The kit for tests of plugins: clients in memory, and time that moves only when a test says so.

Stands on the server's real connections and codecs, without a socket. With pytest, ask for the
fixtures of `lbproto.testing.fixtures`.
"""

from lbproto.testing.checks import ContractViolation
from lbproto.testing.client import Client, connect
from lbproto.testing.clock import START, VirtualClock, settle
from lbproto.testing.codecs import Wire
from lbproto.testing.line import Closed, Outgoing
from lbproto.testing.serving import AnyToken, Serve, serve
from lbproto.testing.transcript import Entry, Transcript

__all__ = [
    "START",
    "AnyToken",
    "Client",
    "Closed",
    "ContractViolation",
    "Entry",
    "Outgoing",
    "Serve",
    "Transcript",
    "VirtualClock",
    "Wire",
    "connect",
    "serve",
    "settle",
]
