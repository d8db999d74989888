"""Seeds that several processes share."""

from __future__ import annotations

import subprocess
import sys
import time

import psutil

_SECONDS = 60  # that whatever is waited for may take on a machine that is busy


def test_processes_end_with_one_that_is_killed() -> None:
    command = [sys.executable, "-m", "lbproto.cli", "simulate", "--seeds", "0-99999", "--jobs", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as simulating:
        workers = _wait_for_workers(psutil.Process(simulating.pid))
        simulating.kill()
    _, alive = psutil.wait_procs(workers, timeout=_SECONDS)
    for each in alive:
        each.kill()
    assert alive == []


def _wait_for_workers(process: psutil.Process) -> list[psutil.Process]:
    """Its two workers, and whatever else it has started by then."""
    until = time.monotonic() + _SECONDS
    while time.monotonic() < until:
        children: list[psutil.Process] = process.children(recursive=True)
        if sum("spawn_main" in str(each.cmdline()) for each in children) >= 2:
            return children
        time.sleep(0.05)  # another process starts them: nothing tells when
    raise AssertionError("it has not started its workers")
