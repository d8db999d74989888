from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

import msgspec
import pytest

from lbproto import Server, StaticTokens
from lbproto.contract import Contract, asyncapi, describe
from tests.contract import everything

Document = dict[str, Any]


@pytest.fixture(scope="session")
def contract() -> Contract:
    """Of a server with whatever a contract may have to tell."""
    return describe(everything.server(), title="Everything */", version="1`")


@pytest.fixture(scope="session")
def document(contract: Contract) -> Document:
    """That in AsyncAPI, as a program reads it."""
    encoded = msgspec.json.encode(asyncapi(contract, url="https://example.com/live/"))
    read: Document = msgspec.json.decode(encoded)
    return read


@pytest.fixture(scope="session")
def published() -> Contract:
    """Of a server with all plugins."""
    plugins = [entry.load()() for entry in entry_points(group="lbproto.plugins")]
    return describe(Server(plugins, auth=StaticTokens({})))
