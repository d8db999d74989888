"""What a server sends, held against what its plugins have declared."""

from __future__ import annotations

from typing import Any

import msgspec

from lbproto.encoded import decode_hook, plain_hook
from lbproto.events import Event
from lbproto.registry import Registry

__all__ = ["ContractViolation", "typed"]


class ContractViolation(AssertionError):
    """A server sent what its plugins do not declare, or not as they declare it.

    Args:
        violations: what was wrong, a line each.
    """

    def __init__(self, violations: list[str]) -> None:
        super().__init__("\n  ".join(["the server broke its contract:", *violations]))
        self.violations = violations


def typed(
    registry: Registry, event: str, data: Any, *, str_keys: bool
) -> tuple[Event | None, str | None]:
    """An event that a server sent, as its class.

    Args:
        registry: the server's.
        event: its wire name.
        data: its payload, as plain values.
        str_keys: the wire knows keys of maps as text only.

    Returns:
        The event, None where it cannot be read, and what is wrong with it, None for nothing.
    """
    emission = registry.emissions.get(event)
    if emission is None:
        if event in registry.routes:
            return None, "it is declared as a request, for clients to send"
        return None, "no plugin declares it"
    try:
        found: Event = msgspec.convert(
            data, emission.event, str_keys=str_keys, dec_hook=decode_hook
        )
    except msgspec.ValidationError as error:
        return None, str(error)
    known = msgspec.to_builtins(
        found, builtin_types=(bytes,), str_keys=str_keys, enc_hook=plain_hook
    )
    return found, _undeclared(data, known, "$")


def _undeclared(data: Any, known: Any, path: str) -> str | None:
    """The first field of `data` that its class does not have, in words."""
    if isinstance(data, dict) and isinstance(known, dict):
        for key, value in data.items():
            if key not in known:
                return f"Object has the undeclared field `{key}` - at `{path}`"
            if told := _undeclared(value, known[key], f"{path}.{key}"):
                return told
    elif isinstance(data, list | tuple) and isinstance(known, list | tuple):
        for number, (value, other) in enumerate(zip(data, known, strict=False)):
            if told := _undeclared(value, other, f"{path}[{number}]"):
                return told
    return None
