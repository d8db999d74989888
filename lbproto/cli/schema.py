"""`lbproto schema`: a server's contract as a document, or as a module."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from lbproto.cli.contracts import server_of
from lbproto.cli.failure import Failure
from lbproto.contract import Contract, asyncapi, describe, json_schemas, typescript
from lbproto.contract.keys import keys

__all__ = ["schema"]


class Format(StrEnum):
    """What is written."""

    ASYNCAPI = "asyncapi"
    JSON_SCHEMA = "json-schema"
    TYPESCRIPT = "typescript"


_DIRECTORIES = {"clientToServer": "client-to-server", "serverToClient": "server-to-client"}


def schema(
    target: Annotated[
        str | None,
        typer.Argument(metavar="MODULE:SERVER", help="By default the demo."),
    ] = None,
    *,
    form: Annotated[
        Format, typer.Option("--format", "-f", help="What to write.")
    ] = Format.ASYNCAPI,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="A file to write to; of JSON Schemas a directory, with a file for each event.",
        ),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(help="Where the server is, for AsyncAPI: such as wss://example.com."),
    ] = None,
    title: Annotated[str, typer.Option(help="What the contract is called.")] = "lbproto",
    version: Annotated[
        str, typer.Option("--contract-version", metavar="VERSION", help="Which one it is.")
    ] = "0",
) -> None:
    """Write the contract of a server: AsyncAPI 3.0, JSON Schema, or TypeScript."""
    contract = describe(server_of(target), title=title, version=version)
    if form is Format.JSON_SCHEMA and output is not None:
        _write_all(contract, output)
        return
    if form is Format.TYPESCRIPT:
        text = typescript(contract)
    elif form is Format.JSON_SCHEMA:
        text = _json(json_schemas(contract))
    else:
        text = _json(asyncapi(contract, url=url))
    if output is None:
        sys.stdout.write(text)
    else:
        _write(output, text)


def _write_all(contract: Contract, directory: Path) -> None:
    for direction, schemas in json_schemas(contract).items():
        names = keys(schemas, "")
        for event, described in schemas.items():
            _write(directory / _DIRECTORIES[direction] / f"{names[event]}.json", _json(described))


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Failure(f"cannot write {path}: {error.strerror}") from None


def _json(value: Any) -> str:
    """As people and version control like it: a line for each value."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
