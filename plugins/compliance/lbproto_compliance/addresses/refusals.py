"""Why a text is not an address."""

from __future__ import annotations

from typing import Literal, TypeAlias

from lbproto import InvalidRequest

__all__ = ["MalformedAddress", "Reason"]

Reason: TypeAlias = Literal["alphabet", "checksum", "encoding", "length", "network", "version"]


class MalformedAddress(InvalidRequest):
    """A text is not an address of the chain.

    The message never has the text itself in it: it may be a private key, pasted by mistake.

    Args:
        reason: in a word: its characters are not those of the encoding (`alphabet`); its check
            characters do not match (`checksum`); it is written otherwise than addresses are
            (`encoding`); too short or too long (`length`); of a test network or another chain
            (`network`); of a kind that there is not (`version`).
        detail: the same in a sentence.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"Malformed address ({reason}): {detail}")
        self.reason = reason
