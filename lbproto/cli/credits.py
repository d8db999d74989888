"""`lbproto credits`: accounts of credits, through the store that the servers use."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from lbproto import Credits, LedgerStore, Movement, RequestError, SystemClock, UsageError
from lbproto.cli.failure import Failure
from lbproto.cli.show import output, print_json
from lbproto.cli.values import printable
from lbproto.clock import iso_timestamp

__all__ = ["commands", "open_store"]

T = TypeVar("T")

commands = typer.Typer(
    no_args_is_help=True, help="Look at users' accounts of credits, and change them."
)

_STORES = {
    "sqlite": ("lbproto.ledger.sqlite", "SQLiteLedger", ""),
    "redis": ("lbproto.ledger.redis", "RedisLedger", "redis"),
    "rediss": ("lbproto.ledger.redis", "RedisLedger", "redis"),
    "unix": ("lbproto.ledger.redis", "RedisLedger", "redis"),
    "postgresql": ("lbproto.ledger.postgres", "PostgresLedger", "postgres"),
    "postgres": ("lbproto.ledger.postgres", "PostgresLedger", "postgres"),
}
"""By the scheme of their URL: where the class is, and the extra that brings what it needs."""

_User = Annotated[str, typer.Argument(metavar="USER", help="Whose account.")]
_Store = Annotated[
    str,
    typer.Option(
        envvar="LBPROTO_CREDITS",
        metavar="URL",
        help="Where accounts are: sqlite:FILE, redis://..., postgresql://...",
    ),
]
_Application = Annotated[str, typer.Option(help="Which of the user's accounts.")]
_Reason = Annotated[str, typer.Option(help="Shown to the user.")]
_Id = Annotated[
    str | None,
    typer.Option("--id", help="The transaction's; the same again by the same id changes nothing."),
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]


@commands.command()
def balance(
    user: _User, *, store: _Store, application: _Application = "default", as_json: _Json = False
) -> None:
    """Show how an account is."""
    found = _through(store, lambda credits_: credits_.balance(user, application))
    row = {
        "userId": user,
        "applicationId": application,
        "balance": found.balance,
        "available": found.available,
        "lifetimeEarned": found.earned,
        "lifetimeSpent": found.spent,
        "version": found.version,
    }
    _show([row], as_json=as_json)


@commands.command()
def grant(
    user: _User,
    amount: Annotated[int, typer.Argument(metavar="AMOUNT", min=1, help="How many credits.")],
    *,
    reason: _Reason,
    store: _Store,
    application: _Application = "default",
    id_: _Id = None,
    priority: Annotated[int, typer.Option(help="The lowest is spent first.")] = 0,
    expires: Annotated[
        int | None,
        typer.Option(metavar="MS", help="What is left then is gone: ms since the Unix epoch."),
    ] = None,
    as_json: _Json = False,
) -> None:
    """Give credits; a SQLite file that is not there is made."""
    movement = _through(
        store,
        lambda credits_: credits_.grant(
            user,
            amount,
            reason,
            application_id=application,
            transaction_id=id_,
            priority=priority,
            expires_at=expires,
        ),
        create=True,
    )
    _show([_row(movement)], as_json=as_json)


@commands.command(context_settings={"ignore_unknown_options": True})  # -5 is an amount
def adjust(
    user: _User,
    amount: Annotated[
        int, typer.Argument(metavar="AMOUNT", help="How many credits more; less, if negative.")
    ],
    *,
    reason: _Reason,
    store: _Store,
    application: _Application = "default",
    id_: _Id = None,
    as_json: _Json = False,
) -> None:
    """Correct a balance, upwards or downwards."""
    movement = _through(
        store,
        lambda credits_: credits_.adjust(
            user, amount, reason, application_id=application, transaction_id=id_
        ),
    )
    _show([_row(movement)], as_json=as_json)


@commands.command()
def history(
    user: _User,
    *,
    store: _Store,
    application: _Application = "default",
    limit: Annotated[int, typer.Option(min=1, help="At most so many movements.")] = 50,
    before: Annotated[
        int | None, typer.Option(min=1, help="Only those of a lower version.")
    ] = None,
    as_json: _Json = False,
) -> None:
    """List an account's movements, newest first."""
    movements = _through(
        store,
        lambda credits_: credits_.history(user, application, before=before, limit=limit),
    )
    _show([_row(movement) for movement in movements], as_json=as_json)


def open_store(url: str) -> LedgerStore:
    """The store of that URL, to be entered.

    Raises:
        Failure: there is no such store, or what it needs is not installed.
    """
    scheme, _, rest = url.partition(":")
    if scheme not in _STORES or not rest:
        kinds = "sqlite:FILE, redis://HOST, postgresql://HOST/DATABASE"
        raise Failure(f"{url!r} is not a store of credits: --store takes {kinds}")
    module, name, extra = _STORES[scheme]
    try:
        made: LedgerStore = getattr(import_module(module), name)(rest if not extra else url)
    except ModuleNotFoundError as missing:
        raise Failure(f"the store needs {missing.name}: pip install 'lbproto[{extra}]'") from None
    except (UsageError, ValueError) as error:
        raise Failure(f"{url!r} is not a store of credits: {error}") from None
    return made


def _through(url: str, ask: Callable[[Credits], Awaitable[T]], *, create: bool = False) -> T:
    scheme, _, rest = url.partition(":")
    if scheme == "sqlite" and rest and not create and not Path(rest).exists():
        raise Failure(f"there is no file {rest}: name the one that your server uses by --store")

    async def work() -> T:
        async with open_store(url) as store:
            return await ask(Credits(store, SystemClock()))

    try:
        return asyncio.run(work())
    except (RequestError, UsageError) as refusal:
        raise Failure(str(refusal)) from None


def _row(movement: Movement) -> dict[str, Any]:
    return {
        "version": movement.version,
        "timestamp": iso_timestamp(movement.at),
        "kind": movement.kind,
        "amount": movement.amount,
        "balance": movement.balance,
        "reason": movement.reason,
        "transactionId": movement.transaction_id,
    }


def _show(rows: Iterable[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        for row in rows:
            print_json(row)
        return
    table: Table | None = None
    for row in rows:
        if table is None:
            table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="dim")
            for name, value in row.items():
                number = isinstance(value, int)
                table.add_column(name, justify="right" if number else "left", overflow="fold")
        table.add_row(
            *(
                f"{value:,}" if isinstance(value, int) else printable(value)
                for value in row.values()
            )
        )
    output().print("nothing has moved yet" if table is None else table)
