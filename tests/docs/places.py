"""What stands in tests for the places that pages name."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.docs.pages import ROOT
from tests.ledger.servers import Valkey
from tests.serving import free_port

__all__ = ["LESS", "Places"]

LESS = {
    "$(seq 40)": "$(seq 2)",
    "--clients 500": "--clients 20",
    "--clients 900": "--clients 20",
    "--seconds 10": "--seconds 0.5",
    "--seeds 0-119": "--seeds 0-2",
    "--seeds 0-99": "--seeds 0-4",
    "range(100)": "range(4)",
    # In a checkout the suites lie beneath the conftest.py of all tests.
    "MyBackend -k storage": "MyBackend --noconftest -k 'storage and uvloop'",
}
"""What would take long, and what is done instead."""


class Places:
    """Puts what there is in the place of what pages name.

    Args:
        folder: of a page.
        stack: ends what is begun here.
        demo: starts the demo, where it does not run yet; its port.

    Attributes:
        port: for 8091: where the server is that the page is at.
    """

    def __init__(self, folder: Path, stack: ExitStack, demo: Callable[[], int]) -> None:
        self.port = free_port()
        self.demo = demo
        self._folder = folder
        self._stack = stack
        self._made = dict(LESS)
        self._makers: Mapping[str, Callable[[], str]] = {
            "8092": _free_port,
            "8095": _free_port,
            "9464": _free_port,  # that of Prometheus
            "/examples": lambda: str(ROOT / "examples"),
            "/srv/catalogues": self._catalogues,
            "/srv/chains": self._chains,
            "/srv/prices.csv": _prices,
            "/etc/lbproto.toml": lambda: str(folder / "lbproto.toml"),
            "/run/lbproto": self._short,
            "/var/lib/lbproto": lambda: str(folder),
            "redis://localhost:6379": self._valkey,
            "rediss://lbproto:secret@redis.internal:6379": self._valkey,
        }
        longest_first = sorted(["8091", *LESS, *self._makers], key=len, reverse=True)
        self._named = re.compile("|".join(map(re.escape, longest_first)))

    def found(self, code: str) -> str:
        """The code, with what there is."""
        return self._named.sub(lambda match: self._place(match[0]), code)

    def _place(self, name: str) -> str:
        if name == "8091":
            return str(self.port)
        if name not in self._made:
            self._made[name] = self._makers[name]()
        return self._made[name]

    def _catalogues(self) -> str:
        """With those of the demo as `default` and `shop`."""
        data = str(files("lbproto_query") / "data" / "default")
        for application in ("default", "shop"):
            shutil.copytree(data, self._folder / "catalogues" / application)
        return str(self._folder / "catalogues")

    def _chains(self) -> str:
        """What comes with the plugin."""
        data = str(files("lbproto_compliance") / "data")
        shutil.copytree(data, self._folder / "chains")
        return str(self._folder / "chains")

    def _short(self) -> str:
        """A directory whose name leaves room for that of a socket."""
        return self._stack.enter_context(TemporaryDirectory(prefix="lbproto-"))

    def _valkey(self) -> str:
        server = Valkey(appendonly="no")
        self._stack.callback(server.stop)
        return server.url.removesuffix("/0")


def _free_port() -> str:
    return str(free_port())


def _prices() -> str:
    return str(files("lbproto_compliance") / "data" / "prices.csv")
