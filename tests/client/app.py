"""The site as a server in a process of its own; jobs are recorded where the environment says."""

from __future__ import annotations

import os
from typing import Any

from lbproto.backends.sqlite import SQLiteStorage
from tests.client.kit import Site, server_of

__all__ = ["STORAGE", "app"]

STORAGE = "LBPROTO_TEST_STORAGE"


def app() -> Any:
    storage = SQLiteStorage(os.environ[STORAGE])
    return server_of(Site().plugin(), storage=storage).asgi()
