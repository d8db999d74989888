"""What `pytest --lbproto-backend` brings in: the suites for backends, and the table at the end."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from lbproto.testing.matrix import Matrix, Outcome

__all__ = ["Conformance"]

_SUITES = "lbproto.testing.conformance"
_FIXTURES = "lbproto.testing.fixtures"
_PORTS = {
    "TestLedger": "ledger",
    "TestLimits": "limits",
    "TestPubSub": "pub/sub",
    "TestStorage": "storage",
}
_PROPERTY = "lbproto"
# Why the suites skip a test: the first is where a port is not overridden.
_NOT_OFFERED = frozenset({"not offered", "without a log", "it is not"})


class Conformance:
    """The suites as a plugin of pytest.

    Args:
        given: backends, as `module:factory` or `module:factory=URL`.

    Raises:
        pytest.UsageError: one of them cannot be had.
    """

    def __init__(self, config: pytest.Config, given: Sequence[str]) -> None:
        sys.path.insert(0, str(config.invocation_params.dir))
        self._given = [_split(each) for each in given]
        self._factories = [_factory(name) for name, _ in self._given]
        self._names = _columns([name for name, _ in self._given])
        self._matrix = Matrix(self._names)
        config.pluginmanager.import_plugin(_FIXTURES)
        spec = find_spec(_SUITES)
        if spec is None or spec.origin is None:
            raise pytest.UsageError(f"{_SUITES} is not in a file")
        if config.args_source is not pytest.Config.ArgsSource.ARGS:
            config.args = [spec.origin]
        elif spec.origin not in config.args:
            config.args.append(spec.origin)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Each test of the suites for each backend."""
        if metafunc.module.__name__.endswith("conformance") and "backend" in metafunc.fixturenames:
            named = metafunc.module.Named
            columns = [
                pytest.param(named(name, make, url), id=name)
                for name, (_, url), make in zip(
                    self._names, self._given, self._factories, strict=True
                )
            ]
            metafunc.parametrize("backend", columns, indirect=True)

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Note what the test is about, where its reports are found."""
        if isinstance(item, pytest.Function) and item.cls is not None and "backend" in _of(item):
            port = _PORTS.get(item.cls.__name__)
            if port is not None:
                test = item.originalname.removeprefix("test_")
                about = [_of(item)["backend"].name, port, test]
                item.user_properties.append((_PROPERTY, about))

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


def _of(item: pytest.Function) -> dict[str, Any]:
    callspec = getattr(item, "callspec", None)
    return {} if callspec is None else dict(callspec.params)


def _outcome(report: pytest.TestReport) -> Outcome:
    if not report.skipped:
        return "failed" if report.failed else "passed"
    why = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
    return "not offered" if why.removeprefix("Skipped: ") in _NOT_OFFERED else "not tried"


def _columns(names: Sequence[str]) -> list[str]:
    """What each backend is called: as short as tells them apart."""
    short = [name.partition(":")[2] for name in names]
    return short if len(set(short)) == len(short) else list(names)


def _split(given: str) -> tuple[str, str]:
    name, _, url = given.partition("=")
    module, _, factory = name.partition(":")
    if not module or not factory:
        raise pytest.UsageError(
            f"--lbproto-backend {given}: write module:factory, such as "
            "lbproto.testing.backends:Memory, and =URL behind it if it takes one"
        )
    return name, url


def _factory(name: str) -> Any:
    module, _, attribute = name.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except ModuleNotFoundError as missing:
        raise pytest.UsageError(f"--lbproto-backend {name}: {missing}, from {Path.cwd()}") from None
    except AttributeError:
        raise pytest.UsageError(f"--lbproto-backend {name}: {module} has no {attribute}") from None
