"""A web server for tests: it answers as a function says, and breaks where that says so."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple, TypeAlias


class Asked(NamedTuple):
    """A request; `body` is empty for a GET."""

    path: str
    body: bytes


class Said(NamedTuple):
    """An answer.

    Attributes:
        body: of which only the first `sent` bytes come, when that is not `None`; then the
            connection is closed.
    """

    body: bytes = b""
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    sent: int | None = None


Answer: TypeAlias = Callable[[Asked], Said]


@contextmanager
def answering(answer: Answer) -> Iterator[str]:
    """A server in threads of its own, so that tests under any event loop can have it: its URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # headers and body leave together, or the kernel waits between them

        def _answer(self) -> None:
            length = int(self.headers.get("content-length", 0))
            said = answer(Asked(self.path, self.rfile.read(length)))
            self.send_response(said.status)
            for header in said.headers:
                self.send_header(*header)
            self.send_header("content-length", str(len(said.body)))
            self.end_headers()
            with suppress(ConnectionError):  # whoever asked may have had enough
                self.wfile.write(said.body[: said.sent])
                self.wfile.flush()
            self.close_connection |= said.sent is not None

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name there)
            """Tests say themselves what went wrong."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
