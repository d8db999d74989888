"""Why a load cannot be made, told in a sentence."""

from __future__ import annotations

__all__ = ["LoadError"]


class LoadError(Exception):
    """A client, or all of them, cannot go on.

    The message says which client, in what state, and what to do about it. What the server said is
    quoted; what the client said, where a token may be in it, is not.
    """
