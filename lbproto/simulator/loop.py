"""An event loop whose time is virtual, and in which processes can be stopped and killed.

Theory of operation. The loop is asyncio's own, which calls back in the order in which it was asked
to: given the same world it does the same things in the same order. Only two things of it are
replaced, both by public ways. Its selector never waits: nothing but time can happen, so it lets
that pass at once. And its tasks have numbers for hashes, since a set of tasks is gone through when
they are cancelled, and addresses differ from run to run.

What runs in a `Process` is known by its context (PEP 567), which every task and callback inherits.
What a process that is stopped would do next is kept until it goes on, as the kernel does by SIGSTOP
and SIGCONT; of one that is killed it is kept until the end, so that none of its code ever runs
again, not even what cleans up.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Mapping
from contextvars import Context, ContextVar, copy_context
from itertools import count
from math import inf
from typing import Any, Generic, NamedTuple, TypeVar, TypeVarTuple, Unpack, cast

__all__ = ["Process", "Stuck", "VirtualLoop", "current_process", "run_virtually"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_process: ContextVar[Process | None] = ContextVar("process", default=None)


class Stuck(Exception):
    """Everybody waits for somebody else, and no time is waited for."""


class _Task(asyncio.Task[T], Generic[T]):
    """A task with a number."""

    def __init__(self, loop: VirtualLoop, work: Any, **options: Any) -> None:
        self._number = next(loop.numbers)
        super().__init__(work, loop=loop, **options)

    def __hash__(self) -> int:
        return self._number


class _Selector(selectors.BaseSelector):
    """Lets time pass instead of waiting for files, of which there are none."""

    def __init__(self) -> None:
        self.time = 0.0
        self._keys: dict[int, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        fd = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        key = self._keys[fd] = selectors.SelectorKey(fileobj, fd, events, data)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(fileobj if isinstance(fileobj, int) else fileobj.fileno())

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Stuck
        self.time += timeout
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._keys


class _Kept(NamedTuple):
    handle: asyncio.Handle
    function: Callable[..., object]
    args: tuple[Any, ...]
    context: Context


class Process:
    """What can be stopped, and killed; and what runs in it.

    Args:
        loop: that runs it.
        name: for people.

    Attributes:
        is_stopped: whether it does nothing just now.
        is_dead: whether it never will again.
    """

    def __init__(self, loop: VirtualLoop, name: str) -> None:
        self.name = name
        self.is_stopped = False
        self.is_dead = False
        self._loop = loop
        self._context = copy_context()
        self._context.run(_process.set, self)
        self._kept: list[
            tuple[asyncio.Handle, Callable[..., object], tuple[Any, ...], Context]
        ] = []

    def call(self, function: Callable[..., object], *args: Any) -> None:
        """Have it called in the process, in the next turn that it has."""
        self._loop.call_soon(function, *args, context=self._context)

    def call_later(self, seconds: float, function: Callable[..., object], *args: Any) -> None:
        """The same after a while."""
        self._loop.call_later(seconds, self.call, function, *args)

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start a task in the process."""
        return self._loop.create_task(work, context=self._context)

    def keep(
        self, function: Callable[..., object], args: tuple[Any, ...], context: Context
    ) -> asyncio.Handle:
        """It is stopped: this is called once it goes on."""
        handle = asyncio.Handle(function, args, self._loop, context)
        self._kept.append(_Kept(handle, function, args, context))
        return handle

    def stop(self) -> None:
        """Do nothing until `go_on`."""
        self.is_stopped = True

    def go_on(self) -> None:
        """Do what has waited, in order; no effect where it is dead."""
        if not self.is_dead:
            self._release()

    def kill(self) -> None:
        """Never do anything again."""
        self.is_stopped = self.is_dead = True

    def bury(self) -> None:
        """The world is over: let what is left of it unwind."""
        self._release()

    def _release(self) -> None:
        self.is_stopped = False
        kept, self._kept = self._kept, []
        for handle, function, args, context in kept:
            if not handle.cancelled():
                self._loop.call_soon(function, *args, context=context)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time, which begins at 0.

    Attributes:
        numbers: those of its tasks, and of whatever else needs a hash.
    """

    def __init__(self) -> None:
        self.numbers = count()
        self._virtual = _Selector()
        super().__init__(self._virtual)
        self.set_task_factory(cast("Any", _Task))

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._virtual.time

    def call_soon(
        self,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.Handle:
        """As asyncio's; what is of a process that is stopped waits until that goes on."""
        own = _process.get() if context is None else context.get(_process)
        if own is not None and own.is_stopped:
            return own.keep(callback, args, copy_context() if context is None else context)
        return super().call_soon(callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """As asyncio's; nobody waits for what never comes, as `anyio.sleep_forever` has it."""
        if when == inf:
            return asyncio.TimerHandle(when, callback, args, self, context)
        return super().call_at(when, callback, *args, context=context)


def current_process() -> Process | None:
    """The process that this runs in; None for the world itself."""
    return _process.get()


def run_virtually(main: Callable[[VirtualLoop], Coroutine[Any, Any, T]]) -> T:
    """Run a world from its beginning to its end; its tasks are cancelled then.

    Raises:
        Stuck: it waits for what never comes.
        Whatever `main` raises.
    """
    loop = VirtualLoop()
    try:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            try:
                return runner.run(main(loop))
            finally:
                runner.run(_unwind())
    finally:
        loop.close()


async def _unwind() -> None:
    """End what is left, and what is begun by that."""
    own = asyncio.current_task()
    while left := [task for task in asyncio.all_tasks() if task is not own]:
        for task in left:
            task.cancel()
        await asyncio.wait(left)
