"""What a server's process uses, as Linux tells it in `/proc`. Elsewhere nothing is known."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ServerProcess", "Usage"]

_PROC = Path("/proc")
_LISTENING = "0A"  # TCP_LISTEN, in /proc/net/tcp
_NANOSECOND = 1e-9


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process and its descendants have used.

    Attributes:
        on_cpu: seconds that their threads were on a core, by the scheduler: the exact figure.
        user: seconds of it in the program, in ticks of the system (10 ms as a rule).
        system: seconds in the kernel, likewise.
        resident: bytes of memory, now.
        waited: seconds that their threads could have gone on and had no core: where it is much,
            the machine had other things to do. Of several threads it is the sum.
    """

    on_cpu: float
    user: float
    system: float
    resident: int
    waited: float = 0.0

    def __sub__(self, before: Usage) -> Usage:
        """What was used since then; `resident` stays what it is now."""
        return Usage(
            self.on_cpu - before.on_cpu,
            self.user - before.user,
            self.system - before.system,
            self.resident,
            self.waited - before.waited,
        )


class ServerProcess:
    """A process, with all its threads and descendants.

    Args:
        pid: its number.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid

    @classmethod
    def listening(cls, port: int) -> ServerProcess | None:
        """The process that listens on this port of this machine.

        Of several, as of a server with workers, it is the one that has started the others.

        Returns:
            None where there is none, or none that may be looked at (another user's).
        """
        wanted = {f"socket:[{inode}]" for inode in _listeners(port)}
        pids = [pid for pid in _pids() if wanted & _open_files(pid)] if wanted else []
        children = {child for pid in pids for child in _descendants(pid) if child != pid}
        return next((cls(pid) for pid in sorted(pids) if pid not in children), None)

    def usage(self) -> Usage | None:
        """What it has used since it began.

        Threads and descendants that have ended are not in it.

        Returns:
            None where it does not run, or the system does not tell.
        """
        ticks = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
        on_cpu = user = system = waited = 0.0
        resident = 0
        found = False
        for pid in _descendants(self.pid):
            with suppress(OSError, ValueError, IndexError):
                # The second field is the program's name, in brackets, and may hold anything.
                fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
                resident += int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
                user += int(fields[11]) / ticks
                system += int(fields[12]) / ticks
                for on, waiting in _seconds_scheduled(pid):
                    on_cpu += on
                    waited += waiting
                found = True
        if not found:
            return None
        return Usage(on_cpu or user + system, user, system, resident, waited)


def _seconds_scheduled(pid: int) -> Iterator[tuple[float, float]]:
    """Of each thread: on a core, and waiting for one."""
    for thread in (_PROC / str(pid) / "task").iterdir():
        with suppress(OSError):
            on, waiting, _ = (thread / "schedstat").read_text().split()
            yield int(on) * _NANOSECOND, int(waiting) * _NANOSECOND


def _descendants(pid: int) -> Iterator[int]:
    """A process, its children, and theirs."""
    yield pid
    with suppress(OSError):
        for thread in list((_PROC / str(pid) / "task").iterdir()):
            for child in (thread / "children").read_text().split():
                yield from _descendants(int(child))


def _pids() -> Iterator[int]:
    with suppress(OSError):
        yield from (int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit())


def _open_files(pid: int) -> set[str]:
    files = set()
    with suppress(OSError):
        for entry in (_PROC / str(pid) / "fd").iterdir():
            with suppress(OSError):
                files.add(str(entry.readlink()))
    return files


def _listeners(port: int) -> Iterator[str]:
    """The inodes of the sockets that listen on this port."""
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in (_PROC / "net" / table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                    yield fields[9]
