"""`lbproto record` and `lbproto replay`: what went over the wire, and what comes of it again."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import anyio
import msgspec
import typer
from rich.text import Text

from lbproto.cli.configuring import configured
from lbproto.cli.contracts import server_of
from lbproto.cli.failure import Failure
from lbproto.cli.show import output, print_json
from lbproto.recorder import BadRecording, Recording, Replayed, decode, in_virtual_time
from lbproto.recorder import replay as play
from lbproto.recorder.control import Recorded, Reply, Request, ask, sockets

__all__ = ["commands", "replay"]

commands = typer.Typer(no_args_is_help=True, help="Record what goes over a server's connections.")

_NO_SOCKET = (
    "say where the server listens for this: --control PATH, which its configuration has as "
    "record.control (LBPROTO_RECORD_CONTROL)"
)
_COLOURS = {"=": "dim", "-": "red", "+": "green"}

_Control = Annotated[
    Path | None,
    typer.Option(metavar="PATH", help="The server's control socket; by default the configured."),
]
_User = Annotated[str | None, typer.Option(help="This user's sessions only.")]
_Session = Annotated[str | None, typer.Option(help="The session of this id only.")]


@commands.command()
def start(user: _User = None, session: _Session = None, control: _Control = None) -> None:
    """Record a session, a user's sessions, or everybody's."""
    _show(_all(control, Request("start", user, session)))


@commands.command()
def stop(user: _User = None, session: _Session = None, control: _Control = None) -> None:
    """Record no longer, and forget what was recorded."""
    _show(_all(control, Request("stop", user, session)))


@commands.command("list")
def list_(control: _Control = None) -> None:
    """Show which sessions are recorded."""
    _show(_all(control, Request("list")))


@commands.command()
def get(
    user: _User = None,
    session: _Session = None,
    incident: Annotated[
        str | None, typer.Option(metavar="ID", help="What was kept for this incident.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIRECTORY", help="Write each to a file there.")
    ] = None,
    control: _Control = None,
) -> None:
    """Print what is kept of a session, or write what is kept of several to files."""
    answers = _all(control, Request("get", user, session, incident))
    files = [content for _, contents in answers for content in contents]
    if not files:
        raise Failure("nothing was recorded of that")
    if out is not None:
        _write(files, out)
    elif len(files) == 1:
        sys.stdout.write(files[0].decode())
    else:
        known = ", ".join(decode(content).header.session for content in files)
        raise Failure(f"there are several: choose one by --session, or --out: {known}")


def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A recording.")],
    target: Annotated[
        str, typer.Argument(metavar="MODULE:SERVER", help="The server to play it to.")
    ],
    *,
    transcript: Annotated[
        bool, typer.Option("--transcript", help="Show all that went over the connection, too.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")] = False,
) -> None:
    """Play a recording to a server in virtual time; exit code 1 if not the same comes of it.

    The server has the plugins of MODULE:SERVER, and storage and credits of its own in memory.
    """
    try:
        recording = decode(file.read_bytes())
    except OSError as error:
        raise Failure(f"cannot read {file}: {error.strerror}") from None
    except BadRecording as error:
        raise Failure(f"{file}: {error}") from None
    virtual = in_virtual_time(server_of(target))

    async def run() -> Replayed:
        async with virtual.lifespan():
            return await play(recording, virtual)

    replayed = anyio.run(run)
    if as_json:
        for step in replayed.steps:
            print_json(step)
    else:
        _show_replayed(recording, replayed, transcript=transcript)
    raise typer.Exit(0 if replayed.same else 1)


def _all(control: Path | None, request: Request) -> list[tuple[Reply, list[bytes]]]:
    """What every process of a server answers; one may not know a session of another's."""
    path = control or Path(configured({}).config.record.control)
    if not path.name:
        raise Failure(_NO_SOCKET)
    found = sockets(path)
    if not found:
        raise Failure(f"no server listens at {path}: start it, or name another by --control")
    asked = [anyio.run(_ask, each, request) for each in found]
    answers = [answer for answer in asked if answer is not None]
    if not answers:
        raise Failure(f"the server at {path} does not answer: it has ended")
    done = [answer for answer in answers if not answer[0].error]
    if not done:
        raise Failure(answers[0][0].error)
    return done


async def _ask(path: Path, request: Request) -> tuple[Reply, list[bytes]] | None:
    """What a process answers; None where it was killed, and has left its socket."""
    try:
        return await ask(path, request)
    except ConnectionRefusedError:
        return None
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        raise Failure(f"the server at {path} does not answer: {error}") from None


def _show(answers: list[tuple[Reply, list[bytes]]]) -> None:
    recorded: list[Recorded] = [each for reply, _ in answers for each in reply.sessions]
    for each in recorded:
        print_json(each)


def _write(files: list[bytes], directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    for content in files:
        header = decode(content).header
        name = f"incident-{header.incident}" if header.incident else header.session
        file = directory / f"{name}.jsonl"
        file.touch(mode=0o600)
        file.write_bytes(content)
        print(file)


def _show_replayed(recording: Recording, replayed: Replayed, *, transcript: bool) -> None:
    console = output()
    if transcript:
        console.print(str(replayed.transcript), soft_wrap=True)
    for line in _lines(replayed):
        console.print(line, soft_wrap=True)
    header = recording.header
    requests = sum(row.way == ">" for row in recording.rows)
    told = "the same came of it" if replayed.same else "not the same came of it"
    console.print(f"{requests} requests of {header.user}, {header.began}: {told}", soft_wrap=True)


def _lines(replayed: Replayed) -> Iterator[Text]:
    for step in replayed.steps:
        told = f"{step.sign} {step.event}" + (f"  {step.code}" if step.code else "")
        yield Text(told, _COLOURS[step.sign])
