"""The middleware stack: a plain fold, in the caller's task. One file a middleware."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from lbproto.context import Context

__all__ = ["Endpoint", "Middleware", "fold"]

Endpoint = Callable[[Context], Coroutine[Any, Any, None]]
"""What serves a request: the rest of the stack, as a middleware sees it."""

Middleware = Callable[[Context, Endpoint], Coroutine[Any, Any, None]]
"""`async def middleware(ctx, call_next)`: calls `await call_next(ctx)`, or raises to refuse."""


def fold(middleware: Iterable[Middleware], endpoint: Endpoint) -> Endpoint:
    """One endpoint out of a stack, the first middleware outermost. Folded once, at start-up."""
    for layer in reversed(list(middleware)):
        endpoint = _wrap(layer, endpoint)
    return endpoint


def _wrap(layer: Middleware, call_next: Endpoint) -> Endpoint:
    return lambda ctx: layer(ctx, call_next)
