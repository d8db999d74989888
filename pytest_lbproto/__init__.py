"""What pytest loads wherever lbproto is installed: one option; the rest only where it is given.

A package of its own, because importing anything of `lbproto` would cost every run of pytest.
"""

from __future__ import annotations

import pytest

__all__ = ["pytest_addoption", "pytest_configure"]

_HELP = (
    "run lbproto's conformance suites against a backend, and print what it can do: "
    "module:factory, which makes a lbproto.testing.backends.Backend, and a URL for it if it takes "
    "one; may be given several times. Without paths, only those suites run."
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare `--lbproto-backend`."""
    parser.getgroup("lbproto").addoption(
        "--lbproto-backend",
        action="append",
        default=[],
        metavar="MODULE:FACTORY[=URL]",
        help=_HELP,
    )


def pytest_configure(config: pytest.Config) -> None:
    """Bring in the suites, where a backend is given."""
    given = config.getoption("lbproto_backend")
    if given:
        from lbproto.testing.plugin import Conformance

        config.pluginmanager.register(Conformance(config, given), "lbproto-conformance")
