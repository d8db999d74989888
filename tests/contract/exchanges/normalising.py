"""Exchanges as they are every time: what differs from run to run has a stand-in, lists are short.

Ids become `query-1`, `query-2`, in the order in which they are seen first, and offsets
`offset-1`. Moments of the run become one moment; durations, and how far a job is, one number each.
Of a long list there are the first items, and how many more there were; only that in an event that
comes before the one that is to be shown.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.contract.exchanges.client import Exchange, Frame

__all__ = ["normalised"]

_IDS = {
    "jobId": "analysis",
    "messageId": "message",
    "nextCursor": "cursor",
    "offset": "offset",
    "pid": "private",
    "queryId": "query",
    "sid": "session",
    "snapshotId": "snapshot",
    "transactionId": "movement",
}
_CONNECTION = {"sid": "connection"}  # Engine.IO's is another than the session's
_NUMBERS = {"durationMs": 12, "estimatedMs": 40, "retryAfter": 60, "rowsProcessed": 2_500_000}
_PCT = 12.5  # of a query: it is as far as the machine is fast

_MOMENT = "2026-01-20T12:00:00.000Z"
_RUN = timedelta(hours=12)  # what is further away than that is not a moment of the run

_LONGEST, _SHOWN = 3, 2  # a list that is not shortened, and how much is shown of one that is


def normalised(exchange: Exchange) -> Exchange:
    """The same exchange, told in a way that does not depend on when it was."""
    name = exchange.event
    frames = [line for line in exchange.lines if isinstance(line, Frame)]
    is_request = any(frame.sender == "client" and frame.event == name for frame in frames)
    stand_ins = _StandIns()
    for frame in frames:
        stand_ins.learn(frame.data, _CONNECTION if frame.packet == "0" else _IDS)

    def told(frame: Frame) -> Frame:
        is_beside = frame.sender == "server" and frame.event not in (name, "")
        return stand_ins.frame(frame, is_brief=is_beside and not is_request)

    return Exchange(
        name, [told(line) if isinstance(line, Frame) else line for line in exchange.lines]
    )


class _StandIns:
    """Those of one exchange."""

    def __init__(self) -> None:
        self._now = datetime.now(UTC)
        self._known: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    def learn(self, value: Any, ids: dict[str, str]) -> None:
        """Give the ids in a frame their stand-ins; they may be called otherwise elsewhere."""
        if isinstance(value, list):
            for each in value:
                self.learn(each, ids)
        elif isinstance(value, dict):
            for name, each in value.items():
                if name in ids and each is not None and each not in self._known:
                    self._known[each] = self._next(ids[name])
                self.learn(each, ids)

    def frame(self, frame: Frame, *, is_brief: bool) -> Frame:
        """A frame; a brief one has no lists."""
        self._longest, self._shown = (0, 0) if is_brief else (_LONGEST, _SHOWN)
        data = frame.data
        if not isinstance(data, list):
            return frame._replace(data=self._value(data))
        told = [self._value(argument) for argument in data]
        if frame.sender == "server" and frame.event:
            told[-1] = self._next("offset")
        return frame._replace(data=told)

    def _value(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: self._field(name, each, value) for name, each in value.items()}
        if isinstance(value, list):
            shown = value if len(value) <= self._longest else value[: self._shown]
            left_out = len(value) - len(shown)
            return [*map(self._value, shown), *([f"… {left_out} more"] if left_out else [])]
        if isinstance(value, str):
            return self._text(value)
        return value

    def _field(self, name: str, value: Any, beside: dict[str, Any]) -> Any:
        if name in _NUMBERS:
            return _NUMBERS[name]
        if name == "pct" and "rowsProcessed" in beside:
            return _PCT
        return self._value(value)

    def _text(self, text: str) -> str:
        """The stand-in of an id or a moment; anything else as it is."""
        if text in self._known:
            return self._known[text]
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return text
        is_of_run = moment.tzinfo is not None and abs(moment - self._now) < _RUN
        return _MOMENT if is_of_run else text

    def _next(self, kind: str) -> str:
        number = self._counts[kind] = self._counts.get(kind, 0) + 1
        return f"{kind}-{number}"
