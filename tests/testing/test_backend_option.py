"""`pytest --lbproto-backend`: the suites against backends, and what they can do as a table."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from lbproto.testing.ledger import LedgerSuite
from lbproto.testing.limits import LimitsSuite
from lbproto.testing.matrix import GROUPS, group_of
from lbproto.testing.pubsub import PubSubSuite
from lbproto.testing.storage import StorageSuite
from tests.ledger.servers import Valkey

ROOT = Path(__file__).parents[2]
MEMORY, SQLITE = "lbproto.testing.backends:Memory", "lbproto.testing.backends:SQLite"

# One test of each port, and one that depends.
SOME = ("a_record_is_gone", "finds_if_it_is", "every_other_sub", "a_burst_at_once", "two_phases")

BROKEN = """
from lbproto.backends.memory import MemoryStorage
from lbproto.testing.backends import Backend


class Forgetful(MemoryStorage):
    async def increment(self, key, by=1):
        return by


class Mine(Backend):
    def storage(self):
        return Forgetful(self.trial.clock)
"""

OWN = """
import pytest


@pytest.fixture
def backend():
    return "its own"


def test_count_asyncio(backend):
    assert backend == "its own"
"""


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    return subprocess.run(
        command, cwd=folder, capture_output=True, check=False, text=True, timeout=300
    )


def table(output: str) -> dict[str, list[str]]:
    """The rows, by their names."""
    rows = (re.split(r"  +", line) for line in output.splitlines())
    ports = tuple(f"{port}: " for port in GROUPS)
    return {name: cells for name, *cells in rows if name.startswith(ports)}


def test_the_houses_own_side_by_side() -> None:
    valkey = Valkey(appendonly="no")
    try:
        done = run(
            ROOT,
            *("--lbproto-backend", MEMORY, "--lbproto-backend", SQLITE),
            *("--lbproto-backend", f"tests.testing.valkey_backend:Valkey={valkey.url}"),
            *("-k", f"uvloop and ({' or '.join(SOME)})"),
        )
    finally:
        valkey.stop()
    assert done.returncode == 0, done.stdout
    assert re.search(r"^ +Memory +SQLite +Valkey$", done.stdout, re.MULTILINE)
    rows = table(done.stdout)
    assert rows["storage: times to live"] == ["yes", "yes", "yes"]
    assert rows["storage: durable"] == ["not offered", "yes", "yes"]
    assert rows["pub/sub: messages"] == ["yes", "not offered", "yes"]
    assert rows["limits: windows and bursts"] == ["yes", "not offered", "yes"]
    assert rows["ledger: reservations"] == ["yes", "yes", "yes"]
    assert {len(cells) for cells in rows.values()} == {3}


def test_what_fails_is_told_and_a_project_keeps_its_own_tests(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(BROKEN)
    (tmp_path / "test_own.py").write_text("def test_own_asyncio(): pass")
    own = tmp_path / "test_conformance.py"  # is not a suite of lbproto's for its name
    own.write_text(OWN)
    # The suites are in this repository, whose conftest.py is not of that project.
    options = ("--noconftest", "--lbproto-backend", "mine:Mine", "-k", "asyncio and count")
    done = run(tmp_path, *options)
    assert done.returncode == 1
    assert re.match(r"no \(\d+ of \d+ fail\)", table(done.stdout)["storage: counters"][0])
    assert table(done.stdout)["ledger: accounts and movements"] == ["not offered"]
    assert "test_own" not in done.stdout
    beside = run(tmp_path, *options, "-rA", str(own))
    assert "PASSED test_conformance.py::test_count_asyncio" in beside.stdout
    plain = run(tmp_path)
    assert plain.returncode == 0
    assert "2 passed" in plain.stdout
    assert "what these backends can do" not in plain.stdout


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("memory", "write module:factory"),
        ("nowhere:Mine", "No module named 'nowhere'"),
        ("lbproto.testing.backends:Mine", "has no Mine"),
    ],
)
def test_what_names_no_backend_is_refused(given: str, why: str, tmp_path: Path) -> None:
    done = run(tmp_path, "--lbproto-backend", given)
    assert done.returncode == 4
    assert why in done.stderr


def test_pytest_without_it_imports_nothing_of_lbproto(tmp_path: Path) -> None:
    (tmp_path / "test_own.py").write_text(
        "import sys\ndef test_own(): assert 'lbproto' not in sys.modules"
    )
    assert run(tmp_path).returncode == 0


def test_every_test_of_the_suites_is_in_a_group() -> None:
    suites = {
        "storage": StorageSuite,
        "pub/sub": PubSubSuite,
        "limits": LimitsSuite,
        "ledger": LedgerSuite,
    }
    for port, suite in suites.items():
        tests = [name.removeprefix("test_") for name in dir(suite) if name.startswith("test_")]
        assert [test for test in tests if group_of(port, test) == "other"] == []
