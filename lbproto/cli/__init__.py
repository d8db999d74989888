"""The command `lbproto`. What it needs beyond the library comes with the extra `cli`."""

from __future__ import annotations

import sys

__all__ = ["main"]

# Top-level packages of the extra `cli` that are imported here or below.
_EXTRA = {"rich", "typer", "uvicorn", "websockets"}


def main() -> None:
    """Run the command line; ends the process by `SystemExit`.

    The exit code is 0 for success, 1 for a request that the server refused, and 2 for a command
    that could not be carried out: then standard error says why and what to do. It is 130 where
    Ctrl-C has ended what was not meant to end by that.
    """
    try:
        from lbproto.cli.app import app
        from lbproto.cli.failure import telling
        from lbproto.cli.streams import ready
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in _EXTRA:
            raise
        sys.stderr.write("lbproto: the command needs an extra: pip install 'lbproto[cli]'\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    with telling(), ready():
        app(prog_name="lbproto")
