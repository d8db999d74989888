"""The contract of a server as data, read from its registry: documents, types, what has changed.

    contract = describe(server, title="Orders", version="3")
    asyncapi(contract)      # AsyncAPI 3.0
    json_schemas(contract)  # JSON Schema 2020-12, one for each event
    typescript(contract)    # types and a typed client for socket.io-client
    diff(read(old), read(new))
"""

from lbproto.contract.asyncapi import asyncapi
from lbproto.contract.catalogue import EventEntry, RoomEntry, events, rooms
from lbproto.contract.changes import Change
from lbproto.contract.describe import describe
from lbproto.contract.diff import diff
from lbproto.contract.json_schema import json_schemas
from lbproto.contract.model import Contract
from lbproto.contract.reading import NotAContract, read
from lbproto.contract.typescript import typescript

__all__ = [
    "Change",
    "Contract",
    "EventEntry",
    "NotAContract",
    "RoomEntry",
    "asyncapi",
    "describe",
    "diff",
    "events",
    "json_schemas",
    "read",
    "rooms",
    "typescript",
]
