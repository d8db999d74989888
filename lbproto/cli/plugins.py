"""Commands that plugins add to `lbproto`."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Any

import typer
from typer.core import TyperGroup

from lbproto.cli.failure import Failure

__all__ = ["WithPlugins"]

_COMMANDS = "lbproto.commands"
"""Entry points: what `lbproto <name>` does, each a `typer.Typer`."""


class WithPlugins(TyperGroup):
    """The commands of lbproto, and behind them those of plugins that are installed.

    A plugin's is loaded when it is named, or when all are listed: the others start as fast without.
    A name that lbproto has itself is lbproto's.
    """

    def list_commands(self, ctx: Any) -> list[str]:
        own = super().list_commands(ctx)
        return own + sorted(entry_points(group=_COMMANDS).names - set(own))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command by its name; None if there is no such command.

        Raises:
            Failure: a plugin's cannot be loaded.
        """
        own = super().get_command(ctx, cmd_name)
        found = () if own is not None else entry_points(group=_COMMANDS, name=cmd_name)
        for entry in found:
            return _loaded(entry)
        return own


def _loaded(entry: EntryPoint) -> Any:
    try:
        command = typer.main.get_command(entry.load())
    except Exception as error:
        raise Failure(
            f"the command {entry.name!r} of a plugin ({entry.value}) fails: see above", error
        ) from error
    command.name = entry.name
    return command
