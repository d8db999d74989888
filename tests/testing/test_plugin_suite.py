"""The suite for plugins: the house's own pass, and each kind of fault is found."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from lbproto.testing.plugins import MakePlugin, PluginSuite
from lbproto_chat import bundled as chat
from lbproto_compliance import CrossBorderFlows
from lbproto_compliance import bundled as compliance
from lbproto_credits import accounts
from lbproto_market import recorded as market
from lbproto_query import bundled as query


class TestCredits(PluginSuite):
    @pytest.fixture
    def make_plugin(self) -> MakePlugin:
        return accounts


class TestMarket(PluginSuite):
    @pytest.fixture
    def make_plugin(self) -> MakePlugin:
        return market


class TestQuery(PluginSuite):
    @pytest.fixture
    def make_plugin(self) -> MakePlugin:
        return query


class TestChat(PluginSuite):
    @pytest.fixture
    def make_plugin(self) -> MakePlugin:
        return chat


class TestCompliance(PluginSuite):
    examples = (CrossBorderFlows(window="P1D", corridor="DE-FR"),)

    @pytest.fixture
    def make_plugin(self) -> MakePlugin:
        return compliance


FAULTY = """
import asyncio
from contextlib import asynccontextmanager

import pytest
from lbproto import Event, NotFound, Plugin
from lbproto.testing.plugins import PluginSuite


class Ask(Event):
    number: int


class Told(Event):
    pass


def faulty(handler, price=None, weight=1, lifespan=None):
    def make():
        plugin = Plugin("faulty", lifespan=lifespan)

        @plugin.on(Ask, price=price, weight=weight)
        async def ask(ctx, request: Ask) -> None:
            handler(ctx)

        @plugin.room("faulty:{name}")
        async def join(ctx, name: str) -> None:
            handler(ctx)

        return plugin

    return make


def breaks(ctx):
    raise ValueError("a bug")


def refuses(ctx):
    raise NotFound("nothing is here")


@asynccontextmanager
async def leaks(server):
    server.left = asyncio.ensure_future(asyncio.sleep(1_000))
    yield


class TestBreaks(PluginSuite):
    make_plugin = pytest.fixture(lambda self: faulty(breaks))


class TestUndeclared(PluginSuite):
    make_plugin = pytest.fixture(lambda self: faulty(lambda ctx: ctx.emit(Told())))


class TestPrice(PluginSuite):
    make_plugin = pytest.fixture(lambda self: faulty(refuses, price=lambda request: 0.5))


class TestWeight(PluginSuite):
    make_plugin = pytest.fixture(lambda self: faulty(refuses, weight=1_000_000))


class TestLeaks(PluginSuite):
    make_plugin = pytest.fixture(lambda self: faulty(refuses, lifespan=leaks))


class TestSound(PluginSuite):
    make_plugin = pytest.fixture(lambda self: faulty(refuses, price=3))
"""


def test_faults_are_found(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["lbproto.testing.fixtures"]')
    (tmp_path / "test_faulty.py").write_text(FAULTY)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rf",
        "-k",
        "asyncio or (not trio and not uv)",
    ]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=300)
    failed = re.findall(
        r"^FAILED test_faulty.py::Test(\w+)::test_(\w+)", run.stdout.decode(), re.MULTILINE
    )
    assert set(failed) == {
        ("Breaks", "requests_are_served_or_refused_never_broken"),
        ("Breaks", "rooms_are_entered_or_refused"),
        ("Undeclared", "requests_are_served_or_refused_never_broken"),
        ("Undeclared", "rooms_are_entered_or_refused"),
        ("Price", "prices_and_weights_can_be_paid"),
        ("Price", "requests_are_served_or_refused_never_broken"),
        ("Weight", "prices_and_weights_can_be_paid"),
        ("Leaks", "it_starts_and_stops_and_leaves_nothing"),
    }, run.stdout.decode()
