from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator

import pytest

from lbproto.cli import main
from tests.cli.commands import Done, Running, running

Main = Callable[..., Done]


@pytest.fixture(scope="session")
def demo() -> Iterator[Running]:
    """A demo for the whole session."""
    with running("demo") as server:
        yield server


@pytest.fixture
def logging_as_before() -> Iterator[None]:
    """What a command sets up is undone."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)


@pytest.fixture
def run_here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], logging_as_before: None
) -> Main:
    """Runs a command in this process: for the many that end at once."""
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.delenv("LBPROTO_TOKEN", raising=False)

    def run(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["lbproto", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        assert isinstance(end.value.code, int)
        return Done(end.value.code, *capsys.readouterr())

    return run
