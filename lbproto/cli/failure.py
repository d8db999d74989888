"""Why a command cannot be carried out, told in a sentence."""

from __future__ import annotations

import importlib
import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.text import Text

from lbproto.errors import UsageError

__all__ = ["Failure", "telling"]

logger = logging.getLogger("lbproto.cli")

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

    def log(self, logger: logging.Logger) -> None:
        """Log it, where standard error is for programs to read."""
        logger.critical(self.message, exc_info=self._bug)

    def tell(self) -> None:
        """Write it to standard error."""
        console = Console(stderr=True, highlight=False)
        if self._bug is not None:
            self._bug.__traceback__ = _without_way(self._bug.__traceback__)
            console.print(
                Text("".join(traceback.format_exception(self._bug))), soft_wrap=True, end=""
            )
        console.print(Text.assemble(("lbproto: ", "bold red"), self.message), soft_wrap=True)


@contextmanager
def telling(*, as_log: bool = False) -> Iterator[None]:
    """Have a failure of the body told, and end the process with exit code 2.

    Args:
        as_log: as a log record; else as a sentence for people.
    """
    try:
        yield
    except UsageError as mistake:  # how a plugin says the same
        failure = Failure(str(mistake))
    except Failure as told:
        failure = told
    else:
        return
    if as_log:
        failure.log(logger)
    else:
        failure.tell()
    sys.exit(2)


def _without_way(frames: TracebackType | None) -> TracebackType | None:
    """The traceback from where it enters the user's program."""
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith(_WAYS):
        frames = frames.tb_next
    return frames
