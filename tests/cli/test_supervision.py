"""Whoever keeps a server: the supervisor of workers, and systemd; and who asks how it is."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lbproto.cli import workers
from lbproto.cli.keeper import Alone
from tests.cli.commands import SECONDS, Running, running
from tests.cli.conftest import Main


def eventually(condition: Callable[[], object]) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def supervised(directory: Path, then: Callable[[], None]) -> None:
    """Keep two stubborn workers, and do something once they serve; in this process."""
    thread = threading.Thread(target=then)
    workers.supervise(
        2, "tests.cli.stubborn", bytes(directory), [], Alone(thread.start), drain_seconds=0
    )
    thread.join()


def seen(directory: Path, what: str) -> set[str]:
    """The processes that have left something."""
    return {each.name.partition("-")[0] for each in directory.glob(f"*-{what}")}


def test_a_worker_that_hangs_is_ended_and_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(workers, "_HANG_SECONDS", 0.2)
    monkeypatch.setattr(workers, "_STOP_SECONDS", 0.2)
    monkeypatch.setattr(workers, "_FIRST_WAIT", 0.0)

    def then() -> None:
        eventually(lambda: len(seen(tmp_path, "began")) >= 4)
        os.kill(os.getpid(), signal.SIGTERM)

    supervised(tmp_path, then)
    assert "hangs, and is ended" in caplog.text
    assert "has ended (-9): another takes its place" in caplog.text
    for pid in seen(tmp_path, "began"):  # those that do not go by themselves are killed
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)


def test_a_worker_that_cannot_be_started_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(workers, "_FIRST_WAIT", 0.05)
    monkeypatch.setattr(workers, "_STOP_SECONDS", 0.2)

    def then() -> None:
        first = seen(tmp_path, "began")
        with monkeypatch.context() as upgrading:
            upgrading.setattr(sys, "executable", str(tmp_path / "python"))
            os.kill(int(min(first)), signal.SIGKILL)
            eventually(lambda: "no worker can be started" in caplog.text)
        eventually(lambda: len(seen(tmp_path, "began")) == 3)
        os.kill(os.getpid(), signal.SIGTERM)

    supervised(tmp_path, then)


def test_a_second_interrupt_is_passed_on(tmp_path: Path) -> None:
    def then() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        eventually(lambda: len(seen(tmp_path, "SIGTERM")) == 2)
        assert seen(tmp_path, "SIGINT") == set()
        os.kill(os.getpid(), signal.SIGINT)

    supervised(tmp_path, then)
    assert len(seen(tmp_path, "SIGINT")) == 2


def test_a_first_worker_that_ends_at_once_is_the_end() -> None:
    with pytest.raises(workers.CannotServe):
        workers.supervise(2, "tests.no_such_module", b"", [], Alone(lambda: None), drain_seconds=0)


def test_systemd_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(SECONDS)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        with running("serve", "tests.e2e.working:make") as server:
            told = [manager.recv(64) for _ in range(3)]
            assert sorted(told) == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]
            server.stop(signal.SIGTERM)
            manager.setblocking(False)
            while (last := manager.recv(64)) == b"WATCHDOG=1":
                pass
            assert last == b"STOPPING=1"


def test_who_has_no_other_client_asks_for_its_health(
    demo: Running, run_here: Main, monkeypatch: pytest.MonkeyPatch
) -> None:
    http = demo.url.replace("ws", "http", 1)
    done = run_here("health", "--url", f"{http}/readyz")
    assert done.code == 0
    assert done.out.startswith('{"status":"ready","red":[],"checks":{"connections":"ok",')
    assert run_here("health", "--url", f"{http}/nowhere").code == 1
    monkeypatch.setenv("LBPROTO_PORT", str(demo.port))
    monkeypatch.setenv("LBPROTO_HOST", "::")
    assert run_here("health", "--live").out == '{"status":"live"}\n'
    monkeypatch.setenv("LBPROTO_HEALTH_LIVE", "")
    assert "has no such probe" in run_here("health", "--live").err
    assert "is not an address such as" in run_here("health", "--url", "localhost:1").err
    with socket.create_server(("localhost", 0)) as listener:
        port = listener.getsockname()[1]
    told = run_here("health", "--url", f"http://localhost:{port}/").err
    assert "does not answer (Connection refused): start the server, or name another" in told
    assert "is not an address such as" in run_here("health", "--url", "http://[::1/").err
