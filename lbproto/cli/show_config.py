"""The configuration that holds, as the file that would say the same."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import msgspec

from lbproto.cli.configuring import Configured, Leaf, leaves
from lbproto.logging.redaction import HIDDEN, without_secrets

__all__ = ["as_toml"]


def as_toml(configured: Configured) -> str:
    """The configuration in TOML, with where each value is from; secrets are masked."""
    return "\n".join(_lines(configured)) + "\n"


def _lines(configured: Configured) -> Iterator[str]:
    def table_of(leaf: Leaf) -> str:
        return leaf.path.rpartition(".")[0]

    for table, group in groupby(leaves().values(), table_of):
        if table:
            yield from ("", f"[{table}]")
        for leaf in group:
            line = f"{leaf.path.rpartition('.')[2]} = {_shown(leaf, configured)}"
            yield f"{line}  # {configured.origins.get(leaf.path, 'default')}"


def _shown(leaf: Leaf, configured: Configured) -> str:
    value: Any = configured.config
    for name in leaf.path.split("."):
        value = getattr(value, name)
    if leaf.secret and value:
        # Of an address only the password is one.
        value = without_secrets(value) if "://" in value else HIDDEN
    return msgspec.json.encode(value).decode()  # TOML writes these as JSON does
