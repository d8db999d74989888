"""The commands, their arguments and options."""

from __future__ import annotations

import asyncio
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from lbproto.cli import requests
from lbproto.cli.address import Address
from lbproto.cli.bench import Plan, Wire
from lbproto.cli.bench import bench as bench_as_planned
from lbproto.cli.client import default_token
from lbproto.cli.configuring import configured
from lbproto.cli.contracts import server_of
from lbproto.cli.credits import commands as credits_commands
from lbproto.cli.demo import Replay, demo_server
from lbproto.cli.diff import diff
from lbproto.cli.events import show_registry
from lbproto.cli.failure import Failure, telling
from lbproto.cli.health import health
from lbproto.cli.keeper import Alone
from lbproto.cli.loading import Target
from lbproto.cli.new import commands as new_commands
from lbproto.cli.plugins import WithPlugins
from lbproto.cli.record import commands as record_commands
from lbproto.cli.record import replay
from lbproto.cli.schema import schema
from lbproto.cli.show import showing
from lbproto.cli.show_config import as_toml
from lbproto.cli.simulate import simulate
from lbproto.cli.welcome import DEFAULT_PORT, DEFAULT_URL, welcome_to_demo
from lbproto.logging import configure

__all__ = ["app"]

app = typer.Typer(
    cls=WithPlugins,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(credits_commands, name="credits")
app.add_typer(new_commands, name="new")
app.add_typer(record_commands, name="record")

_Host = Annotated[str, typer.Option(help="Name or address to listen on.")]
_Port = Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 for any free one.")]
_DRAIN_HELP = "When stopped, close connections spread over so long; a second Ctrl-C: at once."
_Drain = Annotated[
    float, typer.Option("--drain", metavar="SECONDS", min=0, max=86_400, help=_DRAIN_HELP)
]
_Url = Annotated[str, typer.Option(help="The server's address.")]
_Token = Annotated[
    str,
    typer.Option(
        envvar="LBPROTO_TOKEN",
        default_factory=default_token,
        show_default="demo-<login name>",
        help="Who you are to the server.",
    ),
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]

# Every address that it has: some clients try the IPv6 one only.
_HOST = "localhost"


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"lbproto {version('lbproto')}")
        raise typer.Exit


@app.callback()
def _main(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Typed real-time events over Socket.IO and plain WebSocket."""


@app.command()
def demo(
    host: _Host = _HOST,
    port: _Port = DEFAULT_PORT,
    replay: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Play this recording: CSV, CSV.gz or Parquet."),
    ] = None,
    symbol: Annotated[str | None, typer.Option(help="What FILE's trades are of.")] = None,
    speed: Annotated[
        str | None, typer.Option(metavar="real|FACTOR|max", help="How fast FILE is played.")
    ] = None,
    drain: _Drain = 1,
) -> None:
    """Serve the installed plugins on their defaults: recorded trades, looped and moved to now."""
    from lbproto.cli.pages import demo_pages  # web servers: no other command waits for these
    from lbproto.cli.serve import serve as serve_until_stopped

    configure()
    server = demo_server(Replay(replay, symbol, speed))
    address = Address(host, port)
    serve_until_stopped(
        Target.of(server, demo_pages(server, address.url)),
        address.sockets,
        Alone(lambda: welcome_to_demo(server, address.url)),
        drain_seconds=drain,
        aim="start" if replay is None else f"replay {replay}",
    )


@app.command()
def serve(
    target: Annotated[
        str | None,
        typer.Argument(metavar="MODULE:SERVER", help="A Server, a function making one, an app."),
    ] = None,
    *,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Read this TOML file; by default lbproto.toml."),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(help="Name or address to listen on.", show_default=_HOST),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(help="Port; 0 for any free one.", show_default=str(DEFAULT_PORT)),
    ] = None,
    drain: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help=_DRAIN_HELP, show_default="10"),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Processes that share the port; more than one need --pubsub.", show_default="1"
        ),
    ] = None,
    pubsub: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The broker between nodes, for a function to be given."),
    ] = None,
    log_format: Annotated[
        str | None, typer.Option(metavar="text|json", help="How logs are written.")
    ] = None,
    log_level: Annotated[
        str | None, typer.Option(metavar="LEVEL", help="From which on: debug, info, warning...")
    ] = None,
    show_config: Annotated[
        bool, typer.Option("--show-config", help="Print the configuration that holds, and end.")
    ] = False,
) -> None:
    """Serve a server of your own; the current directory is importable.

    What is not said here is read from variables such as LBPROTO_LOG_LEVEL, then from the file.
    """
    options = {
        "app": target,
        "host": host,
        "port": port,
        "drain": drain,
        "workers": workers,
        "server.pubsub": pubsub,
        "log.format": log_format,
        "log.level": log_level,
    }
    found = configured(options, config)
    if show_config:
        typer.echo(as_toml(found), nl=False)
        return
    from lbproto.cli.launch import launch

    with telling(as_log=found.config.log.format == "json"):
        launch(found)


@app.command()
def call(
    event: Annotated[str, typer.Argument(metavar="EVENT", help="The event to send.")],
    data: Annotated[str, typer.Argument(metavar="JSON", help="Its payload.")] = "{}",
    *,
    url: _Url = DEFAULT_URL,
    token: _Token,
    as_json: _Json = False,
) -> None:
    """Send one request and print the events that answer it; exit code 1 if it is refused."""
    payload = _payload(data)
    with showing(as_json=as_json) as show:
        accepted = asyncio.run(requests.call(url, token, event, payload, show))
    raise typer.Exit(0 if accepted else 1)


@app.command()
def listen(
    rooms: Annotated[list[str], typer.Argument(metavar="ROOM...", help="Rooms to subscribe to.")],
    *,
    url: _Url = DEFAULT_URL,
    token: _Token,
    count: Annotated[int | None, typer.Option(min=1, help="End after so many events.")] = None,
    as_json: _Json = False,
) -> None:
    """Subscribe to rooms and print their events until Ctrl-C; exit code 1 if one refuses."""
    accepted = True
    try:
        with showing(as_json=as_json) as show:
            accepted = asyncio.run(requests.listen(url, token, rooms, count, show))
    except KeyboardInterrupt:
        pass  # how it is meant to end
    raise typer.Exit(0 if accepted else 1)


@app.command()
def bench(
    *,
    url: _Url = DEFAULT_URL,
    token: Annotated[
        str,
        typer.Option(
            envvar="LBPROTO_TOKEN",
            default_factory=default_token,
            show_default="demo-<login name>",
            help="Who the clients are; {client} in it is a number, so that each is another user.",
        ),
    ],
    rooms: Annotated[
        list[str] | None,
        typer.Option("--room", help="A room to subscribe to; several are dealt out in turn."),
    ] = None,
    clients: Annotated[int, typer.Option(min=1, help="How many connect.")] = 100,
    seconds: Annotated[float, typer.Option(min=0.1, max=86_400, help="How long.")] = 10,
    warm: Annotated[
        float, typer.Option(min=0, max=3_600, help="Seconds of the same before, not measured.")
    ] = 1,
    wire: Annotated[Wire, typer.Option(help="What the clients speak.")] = Wire.SOCKETIO,
    event: Annotated[str, typer.Option(help="The event to count; by default all.")] = "",
    publish: Annotated[
        str, typer.Option(metavar="EVENT", help="Ask the server by this to publish to the room.")
    ] = "",
    request: Annotated[
        str, typer.Option(metavar="EVENT", help="Measure requests by this instead of events.")
    ] = "",
    data: Annotated[
        str | None,
        typer.Option(
            metavar="JSON", help="The payload of either; {room} and {count} are filled in."
        ),
    ] = None,
    count: Annotated[
        int, typer.Option(min=1, max=100_000, help="Events that the server publishes when asked.")
    ] = 1,
    window: Annotated[int, typer.Option(min=1, max=1_000, help="How often it is asked ahead.")] = 3,
    rate: Annotated[
        float | None,
        typer.Option(min=0.01, max=10_000, help="Ask so often a second, whatever it manages."),
    ] = None,
    depth: Annotated[
        int, typer.Option(min=1, max=1_000, help="Requests that a client has under way.")
    ] = 1,
    stalled: Annotated[int, typer.Option(min=0, help="Clients that never read.")] = 0,
    delay_field: Annotated[
        str,
        typer.Option(
            metavar="FIELD", help="When an event was sent: monotonic ns, on this machine."
        ),
    ] = "",
    pid: Annotated[
        int | None,
        typer.Option(min=1, help="The server's process; by default what listens at a local URL."),
    ] = None,
    json: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the figures there too.")
    ] = None,
) -> None:
    """Measure a server under many clients, until Ctrl-C at most; exit code 1 if events are lost."""
    complete = bench_as_planned(
        Plan(
            url=url,
            token=token,
            rooms=tuple(rooms or ()),
            clients=clients,
            seconds=seconds,
            warm=warm,
            wire=wire,
            event=event,
            publish=publish,
            request=request,
            data=data,
            count=count,
            window=window,
            rate=rate,
            depth=depth,
            stalled=stalled,
            delay_field=delay_field,
            pid=pid,
            file=json,
        )
    )
    raise typer.Exit(0 if complete else 1)


@app.command()
def events(
    target: Annotated[
        str | None,
        typer.Argument(metavar="MODULE:SERVER", help="By default the demo."),
    ] = None,
    as_json: _Json = False,
) -> None:
    """List the events and rooms of a server."""
    show_registry(server_of(target).registry, as_json=as_json)


app.command()(schema)
app.command()(diff)
app.command()(health)
app.command()(replay)
app.command()(simulate)


def _payload(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        example = """'{"room": "market:ETH-USDT"}'"""
        raise Failure(f"the payload is not JSON ({error}); example: {example}") from None
