"""Log records as lines: JSON for programs, text for people. One record cannot pass for two."""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime
from typing import Any

import msgspec

from lbproto.logging.redaction import HIDDEN, is_secret_name, without_secrets

__all__ = ["JSONFormatter", "TextFormatter"]

_MAX_VALUE = 1_024  # characters of a field
_MAX_TEXT = 32_768  # characters of a message, or of a traceback, whose end says most
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_NEEDS_QUOTES = re.compile(r'[\s"=\\]|^$')

_STANDARD = frozenset(
    (
        *vars(logging.LogRecord("", 0, "", 0, "", (), None)),
        *("message", "asctime", "taskName", "color_message"),
    )
)
"""What every record has; all else are fields that somebody gave it."""


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {
        name: HIDDEN if is_secret_name(name) else _plain(value)
        for name, value in vars(record).items()
        if name not in _STANDARD
    }


def _plain(value: Any) -> str | int | float | bool | None:
    if value is None or isinstance(value, bool):
        return value
    for number in (int, float):
        if isinstance(value, number):
            return number(value)  # it may be of a class of its own, which JSON does not know
    try:
        text = without_secrets(str(value))
    except Exception:  # noqa: BLE001 - a value that cannot be shown must not hide the record
        return f"<{type(value).__name__}>"
    return _encodable(text if len(text) <= _MAX_VALUE else text[:_MAX_VALUE] + "…")


def _encodable(text: str) -> str:
    """Without lone surrogates, which no line can be encoded with."""
    return text.encode(errors="backslashreplace").decode()


class _Lines(logging.Formatter):
    """The common part of both formats."""

    def _message(self, record: logging.LogRecord) -> str:
        text = without_secrets(record.getMessage())
        return _encodable(text if len(text) <= _MAX_TEXT else text[:_MAX_TEXT] + "…")

    def _trace(self, record: logging.LogRecord) -> str:
        parts = [self.formatException(record.exc_info)] if record.exc_info else []
        if record.stack_info:
            parts.append(self.formatStack(record.stack_info))
        text = without_secrets("\n".join(parts))
        return _encodable(text if len(text) <= _MAX_TEXT else "…" + text[-_MAX_TEXT:])

    def _time(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC)
        return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class JSONFormatter(_Lines):
    """One JSON object a line.

    `time` (ISO 8601, UTC), `level` in lower case, `logger`, `pid`, `message`, the record's fields,
    and `exception`, the traceback. A field that has the name of one of these is left out.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record's line."""
        line: dict[str, Any] = {
            "time": self._time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "pid": record.process,
            "message": self._message(record),
        }
        for name, value in _fields(record).items():
            line.setdefault(name, value)
        if trace := self._trace(record):
            line["exception"] = trace
        return msgspec.json.encode(line).decode()


class TextFormatter(_Lines):
    """Lines for people: time, level, logger, message, then the fields as `name=value`.

    A traceback follows, each of its lines indented. Control characters are shown as escapes: what a
    client sends cannot make a line of its own, nor colour the terminal.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record's lines."""
        head = f"{self._time(record)} {record.levelname} {record.name}: {self._message(record)}"
        shown = [f"{name}={_quoted(value)}" for name, value in _fields(record).items()]
        lines = [_visible("  ".join([head, *shown]))]
        lines += [f"    {_visible(line)}" for line in self._trace(record).splitlines()]
        return "\n".join(lines)


def _quoted(value: object) -> str:
    text = str(value)
    return msgspec.json.encode(text).decode() if _NEEDS_QUOTES.search(text) else text


def _visible(text: str) -> str:
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)
