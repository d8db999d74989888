"""Commands that plugins add to `lbproto`."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from lbproto.cli.failure import Failure

__all__ = ["WithPlugins"]

_COMMANDS = "lbproto.commands"
"""Entry points: what `lbproto <name>` does, each a `typer.Typer`."""


class WithPlugins(TyperGroup):
    """The commands of lbproto, and behind them those of plugins that are installed.

    A plugin's is loaded when it is used: all else starts as fast without. Where commands are
    listed, the summary of its distribution tells what it does.
    A name that lbproto has itself is lbproto's.
    """

    def list_commands(self, ctx: Any) -> list[str]:
        own = super().list_commands(ctx)
        return own + sorted(entry_points(group=_COMMANDS).names - set(own))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command by its name; None if there is no such command."""
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        for entry in entry_points(group=_COMMANDS, name=cmd_name):
            return _Named(entry)
        return None


class _Named(TyperCommand):
    """A plugin's command that is not loaded yet."""

    def __init__(self, entry: EntryPoint) -> None:
        told = None if entry.dist is None else entry.dist.metadata.get_all("Summary")
        super().__init__(entry.name, help=" ".join(told or ()))
        self._entry = entry

    def make_context(
        self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any
    ) -> Any:
        return _loaded(self._entry).make_context(info_name, args, parent, **extra)


def _loaded(entry: EntryPoint) -> Any:
    """A plugin's command, or one in its place that tells why there is none."""
    try:
        command = typer.main.get_command(entry.load())
    except Exception as error:  # noqa: BLE001 - a plugin may fail in any way, and help goes on
        command = typer.main.get_command(_failing(entry, error))
    command.name = entry.name
    return command


def _failing(entry: EntryPoint, error: Exception) -> typer.Typer:
    failing = typer.Typer()

    @failing.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
    def _fail() -> None:
        """Cannot be loaded."""
        raise Failure(
            f"the command {entry.name!r} of a plugin ({entry.value}) fails: see above", error
        )

    return failing
