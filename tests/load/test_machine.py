"""What is asked of the machine: limits, processes, sockets that are ready."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
from collections.abc import Callable

import pytest

from lbproto.load import LoadError, ServerProcess, Usage
from lbproto.load.descriptors import allow_connections
from lbproto.load.poller import READ, WRITE, Poller, Selecting, open_poller

linux = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")


# Limits


def limits(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int
) -> Callable[[], tuple[int, int] | None]:
    """Pretends limits; what they were set to."""
    taken: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, given: taken.append(given))
    return lambda: taken[-1] if taken else None


def test_a_limit_that_is_enough_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = limits(monkeypatch, 1024, 4096)
    allow_connections(900)
    assert taken() is None


def test_a_limit_is_raised_as_far_as_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = limits(monkeypatch, 1024, 4096)
    allow_connections(2000)
    assert taken() == (2064, 4096)


def test_without_a_hard_limit_there_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = limits(monkeypatch, 1024, resource.RLIM_INFINITY)
    allow_connections(50_000)
    assert taken() == (50_064, resource.RLIM_INFINITY)


def test_more_than_may_be_had_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = limits(monkeypatch, 1024, 4096)
    with pytest.raises(LoadError, match=r"5,064 open files, .* 4,096: take at most 4,032 clients"):
        allow_connections(5000)
    assert taken() is None


def test_more_than_there_are_ports_is_told() -> None:
    with pytest.raises(LoadError, match="70,000 clients are more than one machine can connect"):
        allow_connections(70_000)


# Processes


@linux
def test_a_process_is_found_by_its_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        process = ServerProcess.listening(port)
        assert process is not None
        assert process.pid == os.getpid()
    assert ServerProcess.listening(port) is None


@linux
def test_of_a_server_and_its_workers_it_is_the_server() -> None:
    program = """
import os, socket, sys, time
listener = socket.create_server(("127.0.0.1", 0))
if os.fork():
    print(listener.getsockname()[1], flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        process = ServerProcess.listening(int(server.stdout.readline()))
        assert process is not None
        assert process.pid == server.pid


@linux
def test_descendants_and_threads_count() -> None:
    ours = ServerProcess(os.getpid())
    before = ours.usage()
    assert before is not None
    program = "sum(range(10_000_000)); print(1, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        both, alone = ours.usage(), ServerProcess(child.pid).usage()
        assert both is not None
        assert alone is not None
        child.communicate("\n")
    used = both - before
    assert alone.on_cpu > 0.01  # it has counted to ten million
    assert used.on_cpu >= alone.on_cpu * 0.9
    assert alone.user + alone.system == pytest.approx(alone.on_cpu, abs=0.1)
    assert alone.resident > 1 << 20
    assert both.resident - before.resident > alone.resident * 0.5


@linux
def test_two_on_one_core_wait_for_each_other() -> None:
    core = min(os.sched_getaffinity(0))
    program = f"import os, sys; os.sched_setaffinity(0, {{{core}}}); os.fork()"
    counting = "sum(range(20_000_000)); os.write(1, b'1\\n'); sys.stdin.read()"  # in one piece
    with subprocess.Popen(
        [sys.executable, "-c", f"{program}; {counting}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as both:
        assert both.stdout is not None
        assert [both.stdout.readline() for _ in range(2)] == ["1\n"] * 2
        used = ServerProcess(both.pid).usage()
        both.communicate()
    assert used is not None
    assert used.waited > used.on_cpu / 4


@linux
def test_a_process_that_is_not_there() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
        assert ServerProcess(process.pid).usage() is None


def test_usage_since() -> None:
    before, after = Usage(1.0, 0.5, 0.25, 70, 0.5), Usage(3.0, 2.0, 1.0, 50, 0.75)
    assert after - before == Usage(2.0, 1.5, 0.75, 50, 0.25)


# Sockets


@pytest.mark.parametrize("make", [open_poller, Selecting])
def test_both_pollers_say_the_same(make: Callable[[], Poller]) -> None:
    poller = make()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        fd = ours.fileno()
        poller.register(fd, READ)
        assert list(poller.poll(0)) == []
        theirs.send(b"x")
        assert list(poller.poll(1)) == [(fd, READ)]
        poller.modify(fd, READ | WRITE)
        assert list(poller.poll(1)) == [(fd, READ | WRITE)]
        poller.modify(fd, WRITE)
        assert list(poller.poll(1)) == [(fd, WRITE)]
        poller.unregister(fd)
        assert list(poller.poll(0)) == []
    poller.close()
