"""Recorded exchanges as text: what goes over a Socket.IO connection, one frame after the other.

They are recorded by `tests/contract/test_exchanges.py`, in a file for each event.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

_DIRECTORY = Path(__file__).parent / "reference" / "exchanges"
_WIDTH = 88  # of what can be seen without scrolling
_INDENT = "  "
_LEFT_OUT = re.compile(r'"(… \d+ more)"')
_MARKS = {"client": "> ", "server": "< "}


def exchange_of(event: str) -> list[str]:
    """The code block that shows an event, in Markdown; nothing where none is recorded."""
    path = _DIRECTORY / f"{event}.json"
    if not path.is_file():
        return []
    shown: list[str] = []
    emphasised: list[str] = []
    for row in json.loads(path.read_text(encoding="utf-8")):
        lines = _frame(row) if "from" in row else [f"# {row['note']}"]
        if row.get("packet", "").startswith("42") and row["data"][0] == event:
            emphasised.append(f"{len(shown) + 1}-{len(shown) + len(lines)}")
        shown += lines
    return [
        "```{code-block} text",
        f":emphasize-lines: {','.join(emphasised)}",
        "",
        *shown,
        "```",
        "",
    ]


def _frame(row: dict[str, Any]) -> list[str]:
    mark = _MARKS[row["from"]]
    text = mark + row["packet"] + _compact(row["data"])
    if len(text) > _WIDTH:
        data = row["data"]
        arguments = data if isinstance(data, list) else [data]
        inner = ",".join(_broken(each, _INDENT) for each in arguments)
        text = mark + row["packet"] + (f"[{inner}]" if isinstance(data, list) else inner)
    return _LEFT_OUT.sub(r"\1", text).split("\n")


def _broken(value: Any, indent: str) -> str:
    """JSON in lines that fit, where they can be broken between items."""
    if not isinstance(value, dict | list) or not value:
        return _compact(value)
    deeper = indent + _INDENT
    if isinstance(value, dict):
        items = [_fitting(f"{_compact(name)}:", each, deeper) for name, each in value.items()]
    else:
        items = [_fitting("", each, deeper) for each in value]
    inner = f",\n{deeper}".join(_packed(items, deeper))
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return f"{opening}\n{deeper}{inner}\n{indent}{closing}"


def _packed(items: list[str], indent: str) -> list[str]:
    """Several items a line, as many as fit; objects each on lines of their own."""
    lines: list[str] = []
    for item in items:
        together = f"{lines[-1]},{item}" if lines else item
        is_simple = "\n" not in together and not item.startswith("{")
        if lines and is_simple and len(indent + together) < _WIDTH:
            lines[-1] = together
        else:
            lines.append(item)
    return lines


def _fitting(name: str, value: Any, indent: str) -> str:
    text = name + _compact(value)
    return text if len(indent + text) < _WIDTH else name + _broken(value, indent)


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
