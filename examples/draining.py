"""A program of your own around uvicorn, whose clients are not all sent away at once.

python examples/draining.py
"""

import argparse
import socket

import uvicorn
from hello import server


class DrainingUvicorn(uvicorn.Server):
    """Uvicorn ends every websocket as soon as it is told to stop; this drains them before."""

    def __init__(self, config: uvicorn.Config, seconds: float) -> None:
        super().__init__(config)
        self._seconds = seconds

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for listener in self.servers:
            listener.close()  # from now on a successor may listen on the port
        await server.drain(self._seconds)
        await super().shutdown(sockets)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8091)
    parser.add_argument("--drain", type=float, default=10.0)
    options = parser.parse_args()
    DrainingUvicorn(uvicorn.Config(server.asgi(), port=options.port), options.drain).run()
