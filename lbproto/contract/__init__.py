"""The contract of a server as data, read from its registry: documents, types, what has changed.

`describe` reads it; `asyncapi`, `json_schemas` and `typescript` write it; `AsyncAPIApp` serves it;
`read` takes a document back, and `diff` tells two apart. `events` and `rooms` list what there is.
"""

from lbproto.contract.asyncapi import asyncapi
from lbproto.contract.catalogue import EventEntry, RoomEntry, events, rooms
from lbproto.contract.changes import Change
from lbproto.contract.describe import describe
from lbproto.contract.diff import diff
from lbproto.contract.endpoint import AsyncAPIApp
from lbproto.contract.json_schema import json_schemas
from lbproto.contract.model import Contract
from lbproto.contract.reading import NotAContract, read
from lbproto.contract.typescript import typescript

__all__ = [
    "AsyncAPIApp",
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
