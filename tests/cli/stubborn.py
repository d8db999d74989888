"""A worker that says it serves, and from then on nothing: `python -m tests.cli.stubborn LINK`.

It is told a directory, where it leaves a file of its name for each signal that it gets. It speaks
the link's language by itself: many are started, and to import lbproto takes longer than all else.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from pathlib import Path


def main(number: int) -> None:
    link = socket.socket(fileno=number)
    directory = Path(link.makefile().readline().strip())

    def leave(signum: int, _: object) -> None:
        (directory / f"{os.getpid()}-{signal.Signals(signum).name}").touch()
        if signum == signal.SIGINT:
            sys.exit()

    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, leave)
    (directory / f"{os.getpid()}-began").touch()
    link.send(b"!")
    while True:
        time.sleep(60)


if __name__ == "__main__":
    main(int(sys.argv[1]))
