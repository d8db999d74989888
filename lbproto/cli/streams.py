"""Arguments and standard output, as the system gives them: not in UTF-8, closed, full, or gone."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from lbproto.cli.failure import Failure

__all__ = ["ready"]

_UNWRITABLE = (errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


@contextmanager
def ready() -> Iterator[None]:
    """Have what the body prints be written as far as that can be; it is, when this ends.

    Whoever has closed a pipe, as `head` does, has read enough: that ends the process by exit code
    1, and nothing is said.

    Raises:
        Failure: the arguments cannot be read, or standard output cannot be written to.
    """
    _open_closed()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    _check_arguments()
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left to write
        if error.errno == errno.EPIPE:
            sys.exit(1)
        raise Failure(f"the output cannot be written: {error.strerror}") from None


def _open_closed() -> None:
    """What is closed goes nowhere: a connection must not become standard output."""
    if sys.stdout is None:
        sys.stdout = _nowhere()
    if sys.stderr is None:
        sys.stderr = _nowhere()


def _nowhere() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BufferedWriter(io.FileIO(os.devnull, "w")), encoding="utf-8")


def _check_arguments() -> None:
    try:
        for word in sys.argv:
            word.encode()
    except UnicodeEncodeError:
        raise Failure(
            "the arguments cannot be read: write them in UTF-8, and set LC_ALL=C.UTF-8"
        ) from None
