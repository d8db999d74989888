"""Why a command cannot be carried out, told in a sentence."""

from __future__ import annotations

import importlib
import traceback
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.text import Text

__all__ = ["Failure"]

# How a user's program is reached: frames that say nothing about its bug.
_WAYS = (str(Path(__file__).parent), str(Path(importlib.__file__).parent), "<frozen importlib")


class Failure(Exception):
    """Ends the command with exit code 2.

    Args:
        message: one sentence that says what to do.
        bug: an error in the user's own program, shown with its traceback.
    """

    def __init__(self, message: str, bug: BaseException | None = None) -> None:
        super().__init__(message)
        self.message = message
        self._bug = bug

    def tell(self) -> None:
        """Write it to standard error."""
        console = Console(stderr=True, highlight=False)
        if self._bug is not None:
            self._bug.__traceback__ = _without_way(self._bug.__traceback__)
            console.print(
                Text("".join(traceback.format_exception(self._bug))), soft_wrap=True, end=""
            )
        console.print(Text.assemble(("lbproto: ", "bold red"), self.message), soft_wrap=True)


def _without_way(frames: TracebackType | None) -> TracebackType | None:
    """The traceback from where it enters the user's program."""
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith(_WAYS):
        frames = frames.tb_next
    return frames
