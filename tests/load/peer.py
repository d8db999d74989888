"""Servers that are not lbproto's, in threads: each does what one test wants."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from itertools import count
from threading import Thread

from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

from lbproto.load import Dialect

__all__ = ["DIALECT", "answering", "peer"]

DIALECT = Dialect(
    path="/load",
    opening=(("hello", "I am {client}"), ("welcome", None)),
    subscribe="join {room}",
    subscribed="joined",
    publish="send {count} to {room}",
    request="ask",
    answered="<answer>",
    marker="<event>",
    refused="no",
)
"""A protocol of its own: nothing in it is JSON."""


@contextmanager
def peer(
    handle: Callable[[ServerConnection, int], None], status: HTTPStatus | None = None
) -> Iterator[str]:
    """The address of a websocket server.

    Args:
        handle: called for each connection, with its number from 0.
        status: what it refuses all of them with.
    """
    numbers = count()

    def refuse(connection: ServerConnection, request: Request) -> Response | None:
        return None if status is None else connection.respond(status, "")

    def numbered(connection: ServerConnection) -> None:
        handle(connection, next(numbers))

    server: Server
    with serve(
        numbered, "127.0.0.1", 0, process_request=refuse, compression=None, ping_interval=None
    ) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()
        thread.join()


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """The address of something that answers whatever it is asked with these bytes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve_all() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                # Whoever is told that may leave without a word.
                with connection, suppress(ConnectionResetError):
                    if connection.recv(1 << 16) and answer:
                        connection.sendall(answer)
                        connection.recv(1 << 16)

        thread = Thread(target=serve_all)
        thread.start()
        yield f"ws://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
