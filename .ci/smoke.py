"""Starts every `benchmarks/*_server.py` and asks it for an Engine.IO handshake."""

import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

START_SECONDS = 30
STOP_SECONDS = 10


def free_port() -> int:
    """A TCP port that nobody listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def handshake(server: subprocess.Popen[bytes], port: int) -> str:
    """The body of the first answered polling request.

    Raises:
        RuntimeError: the server ended, or did not answer in time.
    """
    url = f"http://127.0.0.1:{port}/socket.io/?EIO=4&transport=polling"
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise RuntimeError(f"ended with exit code {server.returncode}")
        try:
            with urlopen(url, timeout=5) as answer:
                body: bytes = answer.read()
                return body.decode()
        except (URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    raise RuntimeError(f"no handshake within {START_SECONDS} s")


def smoke(script: Path) -> None:
    """Start `script`, check its handshake, stop it.

    Raises:
        RuntimeError: it did not start, did not speak Engine.IO, or did not stop.
    """
    port = free_port()
    server = subprocess.Popen([sys.executable, str(script), "--port", str(port)])
    try:
        body = handshake(server, port)
        if not body.startswith('0{"sid":'):
            raise RuntimeError(f"not an Engine.IO handshake: {body[:200]}")
        server.terminate()
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"still runs {STOP_SECONDS} s after SIGTERM") from None
    finally:
        server.kill()
        server.wait()


def main() -> int:
    """Run all of them; the exit code is the number of failures."""
    scripts = sorted(Path("benchmarks").glob("*_server.py"))
    failures = 0 if scripts else 1
    if not scripts:
        print("no benchmarks/*_server.py found")
    for script in scripts:
        try:
            smoke(script)
        except RuntimeError as problem:
            failures += 1
            print(f"{script}: {problem}")
        else:
            print(f"{script}: ok")
    return failures


if __name__ == "__main__":
    sys.exit(main())
