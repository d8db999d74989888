"""Programs that run under Node: the stock JavaScript clients."""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Self

import pytest

__all__ = ["BYTES_KEY", "NODE", "NodeClient", "lines_of", "need"]

NODE = Path(__file__).parents[1] / "node"
BYTES_KEY = "$base64"
SECONDS = 60

Line = dict[str, Any]


def need(condition: object, missing: str) -> None:
    """Skip the test for want of something; fail it on CI, where nothing may be missing."""
    if condition:
        return
    if os.environ.get("CI"):
        pytest.fail(f"{missing}, and CI is set")
    pytest.skip(missing)


def need_node() -> None:
    """Node and its modules."""
    need(shutil.which("node"), "Node is not installed")
    need((NODE / "node_modules").is_dir(), f"run `npm install` in {NODE}")


def lines_of(program: str, *arguments: str) -> list[Line]:
    """Run a program to its end.

    Returns:
        The JSON lines it printed.
    """
    done = subprocess.run(
        ["node", program, *arguments],
        cwd=NODE,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return [json.loads(line) for line in done.stdout.splitlines()]


class NodeClient:
    """Stock `socket.io-client`s in a program, by default the one of `client.mjs`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lines: queue.SimpleQueue[Line | None] = queue.SimpleQueue()
        self._acks = count()
        self.seen: list[Line] = []
        """Everything that has been read, in order."""
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(_unpack(json.loads(line)))
        self._lines.put(None)

    def next(self, seconds: float = SECONDS) -> Line:
        """What happens next."""
        try:
            line = self._lines.get(timeout=max(seconds, 0))
        except queue.Empty:
            raise AssertionError(f"nothing more after {self.seen[-20:]}") from None
        assert line is not None, f"the client has ended after {self.seen[-20:]}"
        self.seen.append(line)
        return line

    def until(self, **expected: Any) -> Line:
        """The next line that has these values; those before it are passed over."""
        deadline = time.monotonic() + SECONDS
        while True:
            line = self.next(deadline - time.monotonic())
            if all(line.get(key) == value for key, value in expected.items()):
                return line

    def event(self, name: str) -> Any:
        """The payload of the next event of that name."""
        payload, offset = self.until(event=name)["args"]
        assert isinstance(offset, str)  # what it resumes by
        return payload

    def emit(self, name: str, *args: Any) -> None:
        """Send an event."""
        self.command(emit=name, args=args)

    def call(self, name: str, *args: Any) -> Any:
        """Send an event and wait for its acknowledgement."""
        number = next(self._acks)
        self.command(emit=name, args=args, ack=number)
        (answer,) = self.until(ack=number)["args"]
        return answer

    def command(self, **command: Any) -> None:
        """Give the program a command."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command, default=_pack) + "\n")
        self._process.stdin.flush()

    @classmethod
    @contextmanager
    def connecting(cls, url: str, **options: Any) -> Iterator[Self]:
        """A client on its way to `url`; `options` are those of `io()`."""
        with cls.running("client.mjs", {"url": url, "options": options}) as client:
            yield client

    @classmethod
    @contextmanager
    def running(cls, program: str, argument: Any) -> Iterator[Self]:
        """Any program that prints lines and ends with its input, given an argument."""
        with subprocess.Popen(
            ["node", program, json.dumps(argument)],
            cwd=NODE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield cls(process)
            finally:
                assert process.stdin is not None
                process.stdin.close()
                try:
                    process.wait(SECONDS)
                finally:
                    process.kill()


def _pack(value: Any) -> Any:
    assert isinstance(value, bytes)
    return {BYTES_KEY: b64encode(value).decode()}


def _unpack(value: Any) -> Any:
    if isinstance(value, list):
        return [_unpack(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {BYTES_KEY}:
        return b64decode(value[BYTES_KEY])
    return {key: _unpack(item) for key, item in value.items()}
