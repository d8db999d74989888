"""What an extra of lbproto brings may be missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["extra"]


@contextmanager
def extra(name: str, module: str) -> Iterator[None]:
    """While the body imports what the extra `name` brings: says so where `module` does without.

    Raises:
        ModuleNotFoundError: the one of the body, with a note that says what to install.
    """
    try:
        yield
    except ModuleNotFoundError as missing:
        missing.add_note(f"{module} needs an extra: pip install 'lbproto[{name}]'")
        raise
