"""`lbproto simulate`: seeds, one after the other, and the story of one that breaks a promise."""

from __future__ import annotations

import inspect
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lbproto.cli.failure import Failure
from lbproto.cli.loading import find
from lbproto.cli.show import output
from lbproto.plugin import Plugin
from lbproto.simulator import Outcome, Plan, Scenario, Seed, Visit, draw, many, replay, shrink

__all__ = ["simulate"]

_RANGE = re.compile(r"(\d{1,18})-(\d{1,18})")
_NUMBERS = re.compile(r"\d{1,9}(,\d{1,9})*")
_NONE = "none"  # of steps
_LISTED = 20
_MAX_SEEDS = 10_000_000


def simulate(
    seed: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Simulate this one, and tell its story.")
    ] = None,
    seeds: Annotated[
        str, typer.Option(metavar="A-B", help="Simulate all of these, and tell what is broken.")
    ] = "0-999",
    jobs: Annotated[
        int | None, typer.Option(min=1, max=256, help="Processes; by default one a processor.")
    ] = None,
    plugin: Annotated[
        str,
        typer.Option(
            metavar="MODULE:FACTORY", help="What makes your plugin, or plugins, or a Scenario."
        ),
    ] = "",
    visit: Annotated[
        str,
        typer.Option(
            metavar="MODULE:FUNCTION", help="What your clients ask for, drawn from a Random."
        ),
    ] = "",
    steps: Annotated[
        str, typer.Option(metavar="N,N,...", help="With --seed: only these steps of its plan.")
    ] = "",
    guests: Annotated[
        str, typer.Option(metavar="N,N,...", help="With --seed: only these clients.")
    ] = "",
    shrinks: Annotated[
        bool, typer.Option("--shrink/--no-shrink", help="Leave out what is not needed to fail.")
    ] = True,
) -> None:
    """Try nodes, clients and faults in virtual time; exit code 1 if a promise is broken."""
    target = Target(plugin, visit)
    if seed is not None:
        outcome = replay(_plan(seed, steps, guests), target())
        is_kept = _tell(outcome, target, shrinks=shrinks and not steps and not guests)
    elif steps or guests:
        raise Failure("--steps and --clients need the seed that they belong to: --seed")
    else:
        is_kept = _try(_range(seeds), target, jobs or os.cpu_count() or 1, shrinks=shrinks)
    raise typer.Exit(0 if is_kept else 1)


@dataclass(frozen=True, slots=True)
class Target:
    """What is simulated, by the options that name it: other processes make the same of them.

    Attributes:
        plugin, visit: the options; empty for the yard alone.
    """

    plugin: str = ""
    visit: str = ""

    def __call__(self) -> Scenario:
        """Make it.

        Raises:
            Failure: there is no such thing.
        """
        visit: Visit | None = None
        if self.visit:
            visit = find(self.visit, "function", "shop:visit")
        if not self.plugin:
            return Scenario(visit=visit)
        found = find(self.plugin, "plugin", "shop:shop")
        made = _made(found, self.plugin) if callable(found) else found
        if isinstance(made, Scenario):
            return made
        _plugins(made, self.plugin)
        if not callable(found):
            raise Failure(f"{self.plugin} is a plugin: each node needs its own, so name a function")
        return Scenario(plugins=lambda: _plugins(found(), self.plugin), visit=visit)

    def options(self) -> str:
        """The options, to be written behind a command."""
        plugin = f" --plugin {self.plugin}" if self.plugin else ""
        return plugin + (f" --visit {self.visit}" if self.visit else "")


def _made(factory: Callable[[], Any], name: str) -> Any:
    try:
        inspect.signature(factory).bind()
    except TypeError:
        raise Failure(
            f"{name} makes no plugin by itself: name a function without arguments"
        ) from None
    return factory()


def _plugins(made: Any, name: str) -> Sequence[Plugin]:
    plugins = [made] if isinstance(made, Plugin) else made
    if not isinstance(plugins, Sequence) or not all(isinstance(each, Plugin) for each in plugins):
        kind = type(made).__name__
        raise Failure(f"{name} makes a {kind}: it has to be a Plugin, several, or a Scenario")
    return plugins


def _range(text: str) -> range:
    match = _RANGE.fullmatch(text)
    first, last = (int(match[1]), int(match[2])) if match else (1, 0)
    if last < first or last - first >= _MAX_SEEDS:
        raise Failure(f"{text!r} is not a range of at most {_MAX_SEEDS:,} seeds; example: 0-999")
    return range(first, last + 1)


def _plan(seed: int, steps: str, guests: str) -> Plan:
    plan = draw(seed)
    if guests:
        kept = _numbers(guests)
        for guest in plan.guests:
            if guest.number not in kept:
                plan = plan.without_guest(guest.number)
    return plan.only(_numbers(steps)) if steps else plan


def _numbers(text: str) -> set[int]:
    if text == _NONE:
        return set()
    if not _NUMBERS.fullmatch(text):
        raise Failure(f"{text!r} is not a list of numbers; example: 3,17,20")
    return set(map(int, text.split(",")))


# Many seeds


def _try(seeds: range, target: Target, jobs: int, *, shrinks: bool) -> bool:
    """Simulate seeds.

    Returns:
        Whether all promises were kept.
    """
    target()  # that it is there is known before anything begins
    began = time.monotonic()
    totals: Counter[str] = Counter()
    failed: list[Seed] = []
    is_interrupted = False
    with _showing("simulating", len(seeds)) as tell:
        try:
            for seed in many(seeds, target, min(jobs, len(seeds))):
                totals.update(seeds=1, steps=seed.steps, seconds=round(seed.seconds))
                if seed.broken is not None:
                    failed.append(seed)
                tell(totals["seeds"], f"{len(failed)} failing" if failed else "")
        except KeyboardInterrupt:
            is_interrupted = True
    console = output()
    took = time.monotonic() - began
    console.print(
        f"{totals['seeds']:,} seeds, {totals['steps']:,} steps, "
        f"{totals['seconds'] / 3600:,.1f} hours of virtual time in {took:,.0f} s: "
        + (f"{len(failed):,} break a promise" if failed else "all promises are kept")
        + (", until it was interrupted" if is_interrupted else "")
    )
    for seed in failed[:_LISTED]:
        assert seed.broken is not None  # noqa: S101 - that is why it is here
        console.print(f"  seed {seed.number}: {seed.broken.promise}")
    if len(failed) > _LISTED:
        console.print(f"  and {len(failed) - _LISTED:,} others")
    if failed:
        console.print()
        _tell(replay(draw(failed[0].number), target()), target, shrinks=shrinks)
    return not failed


# One seed


def _tell(outcome: Outcome, target: Target, *, shrinks: bool) -> bool:
    """Tell a story, shrunk first if it has no good end.

    Returns:
        Whether all promises were kept.
    """
    drawn = outcome.plan.drawn
    if outcome.broken and shrinks:
        with _showing("shrinking", drawn) as tell:
            outcome = shrink(
                outcome,
                target(),
                lambda steps, runs: tell(drawn - steps, f"{steps} steps left, {runs} tries"),
            )
    console = output()
    console.print(outcome.story(), soft_wrap=True)
    console.print()
    if not outcome.broken:
        console.print(f"seed {outcome.plan.seed}: all promises are kept; trace {outcome.digest}")
        return True
    console.print(f"seed {outcome.plan.seed}, in {outcome.steps} of {drawn} steps; again:")
    console.print(f"  {command(outcome, target)}", soft_wrap=True)
    return False


def command(outcome: Outcome, target: Target) -> str:
    """What replays an outcome."""
    plan = outcome.plan
    steps = ",".join(str(step.number) for step in plan.steps) or _NONE
    guests = ",".join(str(guest.number) for guest in plan.guests) or _NONE
    whole = len(plan.steps) == plan.drawn
    only = "" if whole else f" --steps {steps} --guests {guests}"
    return f"lbproto simulate --seed {plan.seed}{only}{target.options()}"


@contextmanager
def _showing(name: str, total: int) -> Iterator[Callable[[int, str], None]]:
    """A line at the bottom of the terminal while the body runs; nothing of it stays."""
    console = output()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(40),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[told]}"),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(name, total=total, told="")
        yield lambda done, told: bar.update(task, completed=done, told=told)
