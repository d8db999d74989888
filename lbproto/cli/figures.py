"""What `lbproto bench` shows: how far it has got, and the figures in the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from lbproto.cli.show import output
from lbproto.load import Connected, FanOut, Requests
from lbproto.load import Progress as Told

__all__ = ["Figures", "Shown", "showing_progress"]

_BAR = 40  # characters
_BUSY = 0.9  # of a core
_KIB = 1024


class Shown:
    """The line that says how far it has got.

    Args:
        bar: what draws it; not at all where there is no terminal.
    """

    def __init__(self, bar: Progress) -> None:
        self._bar = bar

    @contextmanager
    def stage(self, name: str, total: float) -> Iterator[Callable[[int], None]]:
        """A function that shows how many are there, while the body runs."""
        task = self._bar.add_task(name, total=total, speed="")
        try:
            yield lambda done: self._bar.update(task, completed=done)
        finally:
            self._bar.remove_task(task)

    @contextmanager
    def measuring(self, seconds: float) -> Iterator[Callable[[Told], None]]:
        """A function that shows the progress of a measurement, while the body runs."""
        task = self._bar.add_task("measuring", total=seconds, speed="")

        def tell(told: Told) -> None:
            speed = f"{told.done / told.seconds:,.0f} a second" if told.seconds else ""
            name = "measuring" if told.warm else "warming up"
            self._bar.update(
                task, description=name, completed=told.seconds, total=told.of, speed=speed
            )

        try:
            yield tell
        finally:
            self._bar.remove_task(task)


@contextmanager
def showing_progress() -> Iterator[Shown]:
    """A line at the bottom of the terminal while the body runs; nothing of it stays."""
    console = output()
    columns = (
        TextColumn("{task.description:<12}"),
        BarColumn(_BAR),
        TextColumn("{task.fields[speed]}"),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        yield Shown(bar)


class Figures:
    """What was measured so far.

    Args:
        clients: how many there were to be.

    Attributes:
        connected: of connecting.
        subscribed: of subscribing; None where there is no room.
        measured: of the rest; None where it was only waited.
        connection_bytes: of the server's memory, for each client; None if not known.
        interrupted: it was ended before its time.
    """

    def __init__(self, clients: int) -> None:
        self.connected: Connected | None = None
        self.subscribed: Connected | None = None
        self.measured: FanOut | Requests | None = None
        self.connection_bytes: float | None = None
        self.interrupted = False
        self._clients = clients

    @property
    def complete(self) -> bool:
        """Whether nothing was lost."""
        return not (isinstance(self.measured, FanOut) and self.measured.lost)

    def as_data(self) -> dict[str, Any]:
        """All figures, by the names that they have in `lbproto.load`."""
        data: dict[str, Any] = {"clients": self._clients, "interrupted": self.interrupted}
        for name in ("connected", "subscribed", "measured"):
            part = getattr(self, name)
            data[name] = None if part is None else _data(part)
        data["connectionBytes"] = self.connection_bytes
        return data

    def show(self) -> None:
        """Print them."""
        console = output()
        if self.interrupted:
            console.print("Ended before its time; until then:")
        for label, value in self._rows(bars=console.is_terminal):
            line = Text.assemble((f"{label:<13}", "bold"), value)
            console.print(line, soft_wrap=True)

    @property
    def _enough(self) -> FanOut | Requests | None:
        """What was measured; None if it was ended before that began."""
        nothing = self.interrupted and self.measured is not None and not self.measured.most
        return None if nothing else self.measured

    def _rows(self, *, bars: bool) -> Iterator[tuple[str, str | Text]]:
        for label, part in (("Connected", self.connected), ("Subscribed", self.subscribed)):
            if part is not None:
                speed = f"{part.per_second:,.0f} a second"
                yield label, f"{part.clients:,} clients in {part.seconds:.2f} s, {speed}"
        measured = self._enough
        if measured is not None:
            yield from _measured(measured)
            yield from _delay(measured, bars=bars)
            yield from _server(measured)
        if self.connection_bytes is not None and self.connection_bytes > 0:
            yield "Memory", f"{self.connection_bytes / _KIB:.1f} KiB of the server's a connection"
        if measured is not None and measured.seconds:
            busy = measured.generator / measured.seconds
            server = 0.0 if measured.server is None else measured.server.on_cpu / measured.seconds
            limit = ": the limit was here, not at the server" if busy > _BUSY > server else ""
            yield "Generator", f"{busy:.0%} of a core{limit}"


def _data(part: Connected | FanOut | Requests) -> dict[str, Any]:
    data: dict[str, Any] = msgspec.to_builtins(part)
    for name in ("per_second", "cpu_us"):
        if hasattr(part, name):
            data[name] = getattr(part, name)
    return data


def _measured(measured: FanOut | Requests) -> Iterator[tuple[str, str | Text]]:
    if isinstance(measured, Requests):
        done, what = measured.requests, "Requests"
        yield what, f"{measured.per_second:,.0f} a second ({done:,} in {measured.seconds:.1f} s)"
        yield "Each client", f"between {measured.fewest:,} and {measured.most:,} answers"
        return
    done = measured.deliveries
    yield (
        "Deliveries",
        f"{measured.per_second:,.0f} a second ({done:,} in {measured.seconds:.1f} s)",
    )
    yield "Each client", _loss(measured)


def _loss(measured: FanOut) -> Text:
    if not measured.expected and not measured.deliveries:
        return Text("no event: is there one meanwhile, and is its name right?", "yellow")
    if measured.lost:
        share = measured.lost / measured.expected
        return Text(
            f"between {measured.fewest:,} and {measured.most:,} events: "
            f"{measured.lost:,} deliveries ({share:.2%}) were lost",
            "bold red",
        )
    if measured.surplus:
        return Text(
            f"{measured.surplus:,} deliveries more than asked for: name the event to count "
            "with --event",
            "yellow",
        )
    if measured.fewest == measured.most:
        return Text(f"{measured.most:,} events, all of them")
    return Text(f"{measured.fewest:,} to {measured.most:,} events, all of its room")


def _delay(measured: FanOut | Requests, *, bars: bool) -> Iterator[tuple[str, str | Text]]:
    quantiles = (measured.p50, measured.p90, measured.p99, measured.max)
    names = ("p50", "p90", "p99", "max")
    shown = [
        f"{name} {value:.2f} ms"
        for name, value in zip(names, quantiles, strict=True)
        if value is not None
    ]
    if shown:
        yield "Delay", "   ".join(shown)
    if shown and bars:
        highest = max(count for _, count in measured.histogram)
        for until, count in measured.histogram:
            bar = "█" * round(count / highest * _BAR) or ("▏" if count else "")
            yield "", Text.assemble((f"≤ {until:8.2f} ms ", "dim"), (bar, "cyan"), f" {count:,}")


def _server(measured: FanOut | Requests) -> Iterator[tuple[str, str | Text]]:
    server, each = measured.server, measured.cpu_us
    if server is not None and each is not None:
        what = "request" if isinstance(measured, Requests) else "delivery"
        busy = server.on_cpu / measured.seconds
        yield "Server", f"{each:.2f} µs of CPU a {what}, {busy:.0%} of a core"
