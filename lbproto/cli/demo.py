"""`lbproto demo`: every plugin that is installed, each on its embedded defaults."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from lbproto import (
    PUBLISHED_TIERS,
    Context,
    Credits,
    Event,
    Identity,
    Limits,
    Plugin,
    Server,
    Unauthorized,
    UsageError,
)
from lbproto.cli.failure import Failure
from lbproto.ledger.memory import MemoryLedger
from lbproto.transport import Peer

__all__ = ["DEMO_TOKEN", "TOKEN_PATTERN", "Replay", "demo_server"]

_PLUGINS = "lbproto.plugins"
"""Entry points: factories `() -> Plugin`."""
_REPLAYS = "lbproto.replays"
"""Entry points: factories `(file, symbol, speed) -> Plugin`, by the name of the plugin that they
take the place of."""
_NOTHING_TO_SHOW = "the demo needs plugins: pip install 'lbproto[demo]'"

TOKEN_PATTERN = re.compile(r"demo-(.{1,64})", re.DOTALL)
DEMO_TOKEN = "demo-alice"  # noqa: S105 - anyone may use it
"""One to try things with."""

_WELCOME = 100
"""Credits that everyone has to try with."""

# Who tries things out, or measures, is not to be stopped unless they ask for it.
_LIMITS = Limits(default="unlimited", per_session=None)


class DemoTokens:
    """Lets everyone in as whoever they like: any token `demo-<name>` is the user `<name>`.

    A name that ends in `@free` or `@pro` has the limits of that tier, any other one none.

    Attributes:
        credits: given to who comes for the first time; None for no gifts.
    """

    def __init__(self) -> None:
        self.credits: Credits | None = None

    async def authenticate(self, token: str, peer: Peer) -> Identity:  # noqa: ARG002 - the port's
        match = TOKEN_PATTERN.fullmatch(token)
        if match is None:
            raise Unauthorized("the demo takes any token demo-<name>, such as demo-alice")
        if self.credits is not None:  # by the same id again, nothing is given
            await self.credits.grant(match[1], _WELCOME, "welcome", transaction_id="welcome")
        _, at, tier = match[1].rpartition("@")
        return Identity(match[1], {"tier": tier} if at and tier in PUBLISHED_TIERS else {})


class DemoEcho(Event):
    """Get a text back for a credit, and another one for every ten characters."""

    text: Annotated[str, Meta(max_length=1_000)] = ""


class DemoEchoed(Event):
    """The text."""

    text: str


def _priced() -> Plugin:
    """A request that costs something, to try credits with."""
    plugin = Plugin("demo", description="a request with a price: demo_echo")

    @plugin.on(DemoEcho, price=lambda request: 1 + len(request.text) // 10)
    async def echo(_ctx: Context, request: DemoEcho) -> DemoEchoed:
        return DemoEchoed(text=request.text)

    return plugin


@dataclass(frozen=True, slots=True)
class Replay:
    """Which recording the demo plays instead of what it shows by default, and how.

    Attributes:
        file: a recording; None for what is shown by default.
        symbol: what its trades are of.
        speed: `real`, `max` or a factor; None for `real`.
    """

    file: Path | None = None
    symbol: str | None = None
    speed: str | None = None


def demo_server(replay: Replay) -> Server:
    """Put the demo together.

    Raises:
        Failure: no plugin is installed, one cannot be loaded, or the recording cannot be played.
    """
    factories: dict[str, Callable[[], Plugin]] = {
        entry.name: partial(_load, entry) for entry in entry_points(group=_PLUGINS)
    }
    if replay != Replay():
        factories.update(_replay(replay))
    if not factories:
        raise Failure(_NOTHING_TO_SHOW)
    try:
        plugins = [factories[name]() for name in sorted(factories)]
        tokens = DemoTokens()
        server = Server([*plugins, _priced()], auth=tokens, credits=MemoryLedger(), limits=_LIMITS)
    except UsageError as clash:
        raise Failure(f"the installed plugins do not go together: {clash}") from clash
    tokens.credits = server.credits
    return server


def _load(entry: EntryPoint) -> Plugin:
    try:
        plugin: Plugin = entry.load()()
    except Exception as error:
        raise Failure(
            f"the plugin {entry.name!r} ({entry.value}) fails: see above", error
        ) from error
    return plugin


def _replay(replay: Replay) -> dict[str, Callable[[], Plugin]]:
    """What plays the recording, by the names of the plugins it takes the place of."""
    file, symbol = replay.file, replay.symbol
    if file is None:
        raise Failure("--symbol and --speed say how to play a file: name it with --replay FILE")
    if symbol is None:
        raise Failure("--replay needs --symbol: what the trades are of, such as ETH-USDT")
    try:
        file.open("rb").close()
    except OSError as error:
        raise Failure(f"cannot read {file}: {error.strerror}") from None
    speed = _speed(replay.speed or "real")
    entries = list(entry_points(group=_REPLAYS))
    if not entries:
        raise Failure(_NOTHING_TO_SHOW)
    return {entry.name: partial(_play, entry, file, symbol, speed) for entry in entries}


def _play(entry: EntryPoint, file: Path, symbol: str, speed: str | float) -> Plugin:
    try:
        plugin: Plugin = entry.load()(file, symbol, speed)
    except ValueError as error:
        raise Failure(str(error)) from error
    return plugin


def _speed(text: str) -> str | float:
    if text in ("real", "max"):
        return text
    try:
        return float(text)
    except ValueError:
        raise Failure(f"--speed is real, max or a factor such as 10, not {text!r}") from None
