"""The rows of every comparison: a server each, how it is started and what it speaks.

A row is a program and not a measurement: the same servers stand in for fan-out, requests and idle
connections, as far as they serve them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field

from benchmarks.needs import ROOT, Need, compiler, node, package

__all__ = ["ROWS", "Row", "UnknownRow", "missing", "serving"]

FANOUT, REQUEST, RECOVERY = "fan-out", "request", "recovery"

_PEERS = ROOT / "benchmarks" / "peers"


@dataclass(frozen=True)
class Row:
    """A server to measure.

    Attributes:
        name: what it is called on the command line and in stored runs.
        title: what a reader sees.
        command: how it is started; `{port}` is where it is to listen on 127.0.0.1.
        wires: what it speaks: names of `benchmarks.dialects`, the one to measure by default first.
        serves: what it can be measured at.
        needs: what has to be installed.
    """

    name: str
    title: str
    command: tuple[str, ...]
    wires: tuple[str, ...] = ("text",)
    serves: frozenset[str] = frozenset({FANOUT, REQUEST})
    needs: tuple[Need, ...] = field(default=(), repr=False)

    @property
    def ours(self) -> bool:
        """Whether it is lbproto."""
        return self.name.startswith("lbproto")

    def wires_of(self, wanted: Iterable[str] | None) -> tuple[str, ...]:
        """Those to measure: the first where nobody says which, or it speaks no other."""
        if wanted is None or len(self.wires) == 1:
            return self.wires[:1]
        return tuple(wire for wire in wanted if wire in self.wires)

    def missing(self) -> str | None:
        """What is to be installed before it can be run; None where nothing is."""
        for need in self.needs:
            if (answer := need()) is not None:
                return answer
        return None


class UnknownRow(ValueError):
    """There is no row of that name; the message says which there are."""


def _python(module: str) -> tuple[str, ...]:
    return (sys.executable, "-m", f"benchmarks.{module}", "{port}")


def _uvicorn(app: str, ws: str = "websockets-sansio", loop: str = "uvloop") -> tuple[str, ...]:
    return (
        *(sys.executable, "-m", "uvicorn", f"benchmarks.{app}", "--port", "{port}"),
        *("--ws", ws, "--loop", loop, "--ws-per-message-deflate", "false"),
        *("--log-level", "warning", "--no-access-log", "--backlog", "4096"),
    )


def _hypercorn(app: str, worker: str) -> tuple[str, ...]:
    return (
        *(sys.executable, "-m", "hypercorn", f"benchmarks.{app}", "--bind", "127.0.0.1:{port}"),
        *("--worker-class", worker, "--log-level", "warning", "--backlog", "4096"),
    )


def _granian(app: str) -> tuple[str, ...]:
    return (
        *(sys.executable, "-m", "granian", f"benchmarks.{app}", "--port", "{port}"),
        *("--interface", "asgi", "--loop", "uvloop", "--no-access-log"),
        *("--log-level", "warning", "--backlog", "4096"),
    )


def _node(program: str, *arguments: str) -> tuple[str, ...]:
    return ("node", str(_PEERS / program), "{port}", *arguments)


_OURS = "lbproto_server:app"


def _serve(target: str) -> tuple[str, ...]:
    """As its users run it."""
    return (
        *(sys.executable, "-m", "lbproto", "serve", f"benchmarks.{target}"),
        *("--host", "127.0.0.1", "--port", "{port}", "--drain", "0"),
    )


_OUR_WIRES = ("socketio", "msgpack", "plain")
_LANE = "lbproto.asgi.uvicorn:WebSocketProtocol"
_UVICORN = (package("uvicorn"), package("uvloop"), package("httptools"))
_ALL = frozenset({FANOUT, REQUEST, RECOVERY})

_TABLE = (
    Row("lbproto", "lbproto", _serve("lbproto_server:server"), _OUR_WIRES, _ALL, _UVICORN),
    Row(
        "lbproto-otel",
        "lbproto, every request traced",
        _serve("otel_server:server"),
        _OUR_WIRES,
        _ALL,
        (*_UVICORN, package("opentelemetry", "'lbproto[otel]'")),
    ),
    Row(
        "lbproto-asyncio",
        "lbproto, asyncio's own loop",
        _uvicorn(_OURS, _LANE, "asyncio"),
        _OUR_WIRES,
        _ALL,
        _UVICORN[:1],
    ),
    Row("lbproto-asgi", "lbproto, plain ASGI", _uvicorn(_OURS), _OUR_WIRES, _ALL, _UVICORN),
    Row(
        "lbproto-trio",
        "lbproto, hypercorn on trio",
        _hypercorn(_OURS, "trio"),
        _OUR_WIRES,
        _ALL,
        (package("hypercorn", "hypercorn[trio]"), package("trio")),
    ),
    Row(
        "lbproto-granian",
        "lbproto, granian",
        _granian(_OURS),
        _OUR_WIRES,
        _ALL,
        (package("granian"), package("uvloop")),
    ),
    Row("c", "C, one send per frame", ("{baseline}", "{port}"), needs=(compiler,)),
    Row(
        "c-joined",
        "C, one send per turn",
        ("{baseline}", "{port}", "joined"),
        serves=frozenset({FANOUT}),
        needs=(compiler,),
    ),
    Row(
        "picows",
        "picows",
        _python("peers.picows_rooms"),
        needs=(package("picows"), package("uvloop")),
    ),
    Row("node-ws", "Node ws", _node("node_ws.mjs"), needs=(node("ws"),)),
    Row(
        "websockets",
        "websockets",
        _python("peers.websockets_broadcast"),
        needs=(package("websockets"), package("uvloop")),
    ),
    Row("raw-asgi", "ASGI, no framework", _uvicorn("peers.raw_asgi:app"), needs=_UVICORN),
    Row(
        "node-socketio",
        "Node socket.io",
        _node("node_socketio.mjs"),
        ("events",),
        needs=(node("socket.io"),),
    ),
    Row(
        "node-socketio-recovery",
        "Node socket.io, recovery on",
        _node("node_socketio.mjs", "recovery"),
        ("events",),
        _ALL,
        (node("socket.io"),),
    ),
    Row(
        "starlette",
        "Starlette",
        _uvicorn("peers.starlette_rooms:app"),
        needs=(package("starlette"), *_UVICORN),
    ),
    Row(
        "fastapi",
        "FastAPI, pydantic",
        _uvicorn("peers.fastapi_orders:app"),
        serves=frozenset({REQUEST}),
        needs=(package("fastapi"), *_UVICORN),
    ),
    Row(
        "python-socketio",
        "python-socketio",
        _uvicorn("peers.python_socketio:app"),
        ("events",),
        needs=(package("socketio", "python-socketio"), *_UVICORN),
    ),
)

ROWS = {row.name: row for row in _TABLE}
"""By name, in the order of tables and plots."""


def serving(what: str, names: Iterable[str] | None = None) -> list[Row]:
    """The rows that can be measured at something, installed or not.

    Args:
        names: only these; all of them for None.

    Raises:
        UnknownRow: there is no row of one of the names.
    """
    wanted = list(ROWS if names is None else names)
    for name in wanted:
        if name not in ROWS:
            raise UnknownRow(f"there is no row {name!r}; there are {', '.join(ROWS)}")
    return [ROWS[name] for name in wanted if what in ROWS[name].serves]


def missing(rows: Iterable[Row]) -> dict[str, str]:
    """The rows that cannot be run here, each with what to install."""
    return {row.name: lack for row in rows if (lack := row.missing()) is not None}
