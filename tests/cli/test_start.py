"""A command starts fast: what it does not need is not imported."""

from __future__ import annotations

import pytest

from tests.cli.commands import python

HEAVY = {"duckdb", "lbproto.console", "lbproto_compliance", "lbproto_market", "numpy", "uvicorn"}


@pytest.mark.parametrize(
    "words", [["--version"], ["--help"], ["call", "ping", "--url", "ws://127.0.0.1:1"]]
)
def test_neither_servers_nor_plugins_are_imported_without_need(words: list[str]) -> None:
    done = python(
        "import sys\n"
        "from lbproto.cli import main\n"
        f"sys.argv = {['lbproto', *words]}\n"
        "try:\n"
        "    main()\n"
        "except SystemExit:\n"
        f"    print(sorted({HEAVY} & sys.modules.keys()))\n"
    )
    assert done.out.splitlines()[-1] == "[]"
