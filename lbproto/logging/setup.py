"""Sets up the destination and format of log records."""

from __future__ import annotations

import logging
from typing import IO, Literal

from lbproto.logging.fields import RequestFilter
from lbproto.logging.formats import JSONFormatter, TextFormatter

__all__ = ["Format", "Level", "configure"]

Format = Literal["text", "json"]
"""Lines for people, or for programs."""

Level = Literal["debug", "info", "warning", "error", "critical"]
"""How much is logged: records of this level and above."""


def configure(
    format: Format = "text",  # noqa: A002 - what `logging.basicConfig` calls it
    level: Level = "warning",
    stream: IO[str] | None = None,
) -> None:
    """Have all records of the process written, one line each; takes the place of what was set up.

    Args:
        format: "json" for programs, "text" for people.
        level: from which on.
        stream: where to; standard error by default.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JSONFormatter() if format == "json" else TextFormatter())
    handler.addFilter(RequestFilter())
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    logging.captureWarnings(capture=True)
