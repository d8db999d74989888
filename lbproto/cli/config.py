"""What `lbproto serve` can be told in a file, in the environment and on the command line."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct, field

from lbproto import Check, Recovery, Secret, Settings
from lbproto.logging import Format, Level

__all__ = ["Config", "HealthConfig", "LogConfig", "RecordConfig", "ServerConfig"]

_Port = Annotated[int, Meta(ge=0, le=65_535)]
_Seconds = Annotated[float, Meta(ge=0)]
_Workers = Annotated[int, Meta(ge=1, le=256)]
_Count = Annotated[int, Meta(ge=1)]
_Address = Annotated[str, Secret]


class LogConfig(Struct, frozen=True):
    """Logs.

    Attributes:
        format: "text" for people, "json" for programs.
        level: from which on records are written.
        user_key: what pseudonyms of users are made with; "" for another one at each start.
    """

    format: Format = "text"
    level: Level = "warning"
    user_key: Annotated[str, Secret] = ""


class HealthConfig(Struct, frozen=True):
    """Where a node says how it is.

    Attributes:
        live: whether it runs; "" for nowhere.
        ready: whether it is to be sent clients; "" for nowhere.
        ignore: checks that are told and do not count.
    """

    live: str = "/healthz"
    ready: str = "/readyz"
    ignore: list[Check] = field(default_factory=list)


class RecordConfig(Struct, frozen=True):
    """The flight recorder; off unless something is said here.

    Attributes:
        all: whether everybody's sessions are recorded from the start.
        frames: entries that are kept of each session.
        bytes: bytes that these take.
        directory: where recordings of requests that failed by our fault are put; "" for nowhere.
        control: the Unix socket by which `lbproto record` reaches the server; "" for none.
    """

    all: bool = False
    frames: _Count = 200
    bytes: _Count = 262_144
    directory: str = ""
    control: str = ""


class ServerConfig(Struct, frozen=True):
    """What the function that makes the server is given, by the same names.

    Attributes:
        pubsub: URL of the broker between the nodes: Redis or NATS.
        storage: where records are kept: the URL of a Redis, or `sqlite:PATH`.
        settings: bounds and times of the wire.
        recovery: how long sessions wait for their clients.
    """

    pubsub: _Address = ""
    storage: _Address = ""
    settings: Settings = field(default_factory=Settings)
    recovery: Recovery = field(default_factory=Recovery)


class Config(Struct, frozen=True):
    """Everything.

    Attributes:
        app: what is served, MODULE:SERVER.
        host: name or address to listen on.
        port: where; 0 for any free one.
        drain: seconds over which connections are closed at the end.
        workers: processes that share the port.
    """

    app: str = ""
    host: str = "localhost"
    port: _Port = 8091
    drain: _Seconds = 10.0
    workers: _Workers = 1
    log: LogConfig = field(default_factory=LogConfig)
    health: HealthConfig = field(default_factory=HealthConfig)
    record: RecordConfig = field(default_factory=RecordConfig)
    server: ServerConfig = field(default_factory=ServerConfig)
