"""The outermost middleware of the fold: tells of each request how long it took, and its end."""

from __future__ import annotations

from typing import Any, Protocol

from lbproto.context import Context
from lbproto.errors import ErrorCode, RequestError
from lbproto.middleware import Endpoint

__all__ = ["Recorder", "Tracing"]


class Recorder(Protocol):
    """The recorder of request traces; implemented by `lbproto.telemetry`."""

    def begin(self, ctx: Context, waited: float) -> Any:
        """A request is about to be served, `waited` seconds after it came; returns for `end`."""
        ...

    def end(
        self, ctx: Context, begun: Any, code: ErrorCode | None, waited: float, took: float
    ) -> None:
        """It was served, in `took` seconds, or has failed with a code; called in the same task."""
        ...


class Tracing:
    """The middleware that reports each request to a recorder.

    Args:
        recorder: told of every request.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._begin = recorder.begin
        self._end = recorder.end

    async def serve(self, ctx: Context, call_next: Endpoint) -> None:
        """Serve a request; raises whatever comes of that."""
        monotonic = ctx.clock.monotonic
        began = monotonic()
        arrived = ctx.inbound.arrived
        waited = began - arrived if arrived else 0.0
        begun = self._begin(ctx, waited)
        try:
            await call_next(ctx)
        except GeneratorExit:  # the event loop is gone: this is not a task any more
            raise
        except BaseException as error:
            self._end(ctx, begun, _code(ctx, error), waited, monotonic() - began)
            raise
        code = ctx.failed if ctx.job is None else ctx.job.failed
        self._end(ctx, begun, code, waited, monotonic() - began)


def _code(ctx: Context, error: BaseException) -> ErrorCode:
    if ctx.job is not None and ctx.job.failed is not None:
        return ctx.job.failed  # why it was cancelled, whatever came of that
    if isinstance(error, RequestError):
        return error.code
    return ErrorCode.INTERNAL if isinstance(error, Exception) else ErrorCode.CANCELLED
