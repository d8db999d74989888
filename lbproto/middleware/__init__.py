"""The middleware stack: a plain fold, in the caller's task. One file a middleware."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from lbproto.context import Context

__all__ = ["Endpoint", "Middleware", "fold"]

Endpoint = Callable[[Context], Awaitable[None]]
"""What serves a request: the rest of the stack, as a middleware sees it."""

Middleware = Callable[[Context, Endpoint], Awaitable[None]]
"""`async def middleware(ctx, call_next)`: calls `await call_next(ctx)`, or raises to refuse."""


def fold(middleware: Iterable[Middleware], endpoint: Endpoint) -> Endpoint:
    """One endpoint out of a stack, the first middleware outermost. Folded once, at start-up."""
    for layer in reversed(list(middleware)):
        endpoint = _wrap(layer, endpoint)
    return endpoint


def _wrap(layer: Middleware, call_next: Endpoint) -> Endpoint:
    def call(ctx: Context) -> Awaitable[None]:
        return layer(ctx, call_next)

    return call
