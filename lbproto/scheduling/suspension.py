"""Run a coroutine in the caller's task and learn whether it had to wait.

Handlers and sends nearly always finish without waiting. A task for each would cost more than the
work itself; none at all would let one that does wait hold up everything behind it. So the caller
runs it in place, and only when it suspends for the first time is told so, in time to let another
task take over what would otherwise be held up.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from types import coroutine
from typing import Any, TypeVar

__all__ = ["notify_suspension"]

T = TypeVar("T")


@coroutine
def notify_suspension(
    work: Coroutine[Any, Any, T], suspended: Callable[[], None]
) -> Generator[Any, Any, T]:
    """Await `work`; call `suspended()` once, if and when it suspends for the first time.

    Works under every event loop: what `work` yields to the loop is passed on untouched, in the same
    task, so that cancellation and cancel scopes behave as without the wrapper.

    Args:
        work: a coroutine that has not been started.
        suspended: called synchronously while `work` is suspended; must not raise.
    """
    step: Callable[[Any], Any] = work.send
    argument: Any = None
    told = False
    while True:
        try:
            trap = step(argument)
        except StopIteration as done:
            result: T = done.value
            return result
        if not told:
            told = True
            suspended()
        try:
            argument = yield trap
        except BaseException as error:  # noqa: BLE001 - a cancellation goes into `work` too
            step, argument = work.throw, error
        else:
            step = work.send
