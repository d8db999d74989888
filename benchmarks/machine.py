"""Where a run takes place, and keeping the two sides of it apart.

The server has one core to itself and the load generator another, so that neither is counted or
slowed down for what the other does.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

__all__ = ["LOAD_CORE", "SERVER_CORE", "Machine", "describe", "on_core"]

_PACKAGES = (
    "lbproto",
    "fastapi",
    "granian",
    "hypercorn",
    "msgspec",
    "picows",
    "pydantic",
    "python-socketio",
    "starlette",
    "uvicorn",
    "uvloop",
    "websockets",
)


def _cores() -> tuple[int | None, int | None]:
    """The cores of the server and of the load generator; None where they cannot be apart."""
    if not hasattr(os, "sched_setaffinity"):
        return None, None
    allowed = sorted(os.sched_getaffinity(0))
    return (allowed[0], allowed[1]) if len(allowed) > 1 else (None, None)


SERVER_CORE, LOAD_CORE = _cores()


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What a run took place on: enough to know why another differs.

    Attributes:
        processor: its model.
        cores: those that this process may use.
        pinned: whether server and load generator had a core each.
        system: kernel and architecture.
        versions: of Python, of Node and of the packages that were installed.
    """

    processor: str
    cores: int
    pinned: bool
    system: str
    versions: dict[str, str]


def describe() -> Machine:
    """This machine."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    if shutil.which("node"):
        node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False)
        versions["node"] = node.stdout.strip().removeprefix("v")
    return Machine(
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)) if SERVER_CORE is not None else os.cpu_count() or 1,
        pinned=SERVER_CORE is not None,
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        versions=versions,
    )


def _processor() -> str:
    described = Path("/proc/cpuinfo")
    if described.exists():
        for line in described.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or "unknown"


@contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """Run the body, and whatever it starts, on one core; anywhere for None."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
