"""What systemd is told of a service of `Type=notify`: that it serves, lives, and stops.

Elsewhere there is no `NOTIFY_SOCKET`, and nothing is said.
"""

from __future__ import annotations

import os
import socket

__all__ = ["READY", "STOPPING", "TURNS", "notify"]

READY, TURNS, STOPPING = "READY=1", "WATCHDOG=1", "STOPPING=1"


def notify(state: str) -> None:
    """Tell the service manager; if it cannot be told, it will see."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return
    address = f"\0{path[1:]}" if path.startswith("@") else path
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager:
            manager.sendto(state.encode(), address)
    except OSError:
        return
