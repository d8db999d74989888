"""What `pytest --lbproto-backend` brings in: the suites for backends, and the table at the end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from lbproto.testing.backends import Backend, Trial
from lbproto.testing.matrix import Matrix, Outcome

__all__ = ["Conformance", "Named"]

_SUITES = "lbproto.testing.conformance"
_FIXTURES = "lbproto.testing.fixtures"
_PORTS = {
    "TestLedger": "ledger",
    "TestLimits": "limits",
    "TestPubSub": "pub/sub",
    "TestStorage": "storage",
}
_PROPERTY = "lbproto"


@dataclass(frozen=True, slots=True)
class Named:
    """A backend of the command line.

    Attributes:
        name: what its column is called.
        make: makes it for a test.
        url: what it is made with; "" for nothing.
    """

    name: str
    make: Callable[[Trial], Backend]
    url: str


class Conformance:
    """The suites as a plugin of pytest.

    Args:
        given: backends, as `module:factory` or `module:factory=URL`.

    Raises:
        pytest.UsageError: one of them cannot be had.
    """

    def __init__(self, config: pytest.Config, given: Sequence[str]) -> None:
        sys.path.insert(0, str(config.invocation_params.dir))  # as `python -m` finds modules
        self._backends = _named(given)
        self._matrix = Matrix([each.name for each in self._backends])
        config.pluginmanager.import_plugin(_FIXTURES)
        spec = find_spec(_SUITES)
        if spec is None or spec.origin is None:
            raise pytest.UsageError(f"{_SUITES} is not in a file")
        self._suites = Path(spec.origin)
        if config.args_source is not pytest.Config.ArgsSource.ARGS:
            config.args = [spec.origin]
        elif spec.origin not in config.args:
            config.args.append(spec.origin)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Each test of the suites for each backend."""
        if metafunc.definition.path == self._suites and "backend" in metafunc.fixturenames:
            columns = [pytest.param(each, id=each.name) for each in self._backends]
            metafunc.parametrize("backend", columns, indirect=True)

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Note what the test is about, where its reports are found."""
        if isinstance(item, pytest.Function) and item.path == self._suites and item.cls:
            port = _PORTS[item.cls.__name__]
            test = item.originalname.removeprefix("test_")
            backend: Any = item.callspec.params["backend"]
            item.user_properties.append((_PROPERTY, [backend.name, port, test]))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count what has come of a test."""
        about: Any = dict(report.user_properties).get(_PROPERTY)
        if about is not None and (report.when == "call" or not report.passed):
            backend, port, test = about
            self._matrix.add(backend, port, test, _outcome(report))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the table."""
        terminalreporter.section("what these backends can do")
        for line in self._matrix.lines():
            terminalreporter.write_line(line)


def _outcome(report: pytest.TestReport) -> Outcome:
    if not report.skipped:
        return "failed" if report.failed else "passed"
    why = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
    return "not offered" if why.startswith("Skipped: not offered") else "not tried"


def _named(given: Sequence[str]) -> list[Named]:
    """The backends, each called as short as tells them apart."""
    split = [_split(each) for each in given]
    short = [factory for _, factory, _ in split]
    distinct = len(set(short)) == len(short)
    return [
        Named(factory if distinct else f"{module}:{factory}", _factory(module, factory), url)
        for module, factory, url in split
    ]


def _split(given: str) -> tuple[str, str, str]:
    name, _, url = given.partition("=")
    module, _, factory = name.partition(":")
    if not module or not factory:
        raise pytest.UsageError(
            f"--lbproto-backend {given}: write module:factory, such as "
            "lbproto.testing.backends:Memory, and =URL behind it if it takes one"
        )
    return module, factory, url


def _factory(module: str, name: str) -> Callable[[Trial], Backend]:
    option = f"--lbproto-backend {module}:{name}"
    try:
        factory: Callable[[Trial], Backend] = getattr(import_module(module), name)
    except ModuleNotFoundError as missing:
        raise pytest.UsageError(f"{option}: {missing}, from {Path.cwd()}") from None
    except AttributeError:
        raise pytest.UsageError(f"{option}: {module} has no {name}") from None
    return factory
