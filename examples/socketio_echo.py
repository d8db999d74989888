"""A Socket.IO server with raw events on the wire-level port: no registry, no authentication.

    python examples/socketio_echo.py --port 3000 --ping-interval 300 --ping-timeout 200 \
        --connect-timeout 1000

It serves what the public Socket.IO v5 test suite needs. To run that: get the folder
docs/socket.io-protocol/v5-test-suite of the repository socketio/socket.io, then `npm install` and
`npm test` in it, while this runs on port 3000 with the times above.
"""

from serving import arguments, serve

from lbproto.asgi import SocketIOApp
from lbproto.wire import Arguments, Inbound, Socket


class Echo:
    """Tells a client the auth it connected with, and sends back what it gets."""

    async def authenticate(self, socket: Socket, auth: Arguments) -> None:
        socket.state = auth.first(dict)

    async def opened(self, socket: Socket) -> None:
        socket.emit("auth", socket.state)

    async def event(self, socket: Socket, inbound: Inbound) -> None:
        if inbound.name == "message":
            socket.emit("message-back", *inbound.arguments.values())
        elif inbound.name == "message-with-ack" and inbound.id is not None:
            socket.acknowledge(inbound.id, *inbound.arguments.values())

    def acknowledged(self, socket: Socket, request: int, arguments: Arguments) -> None:
        print("acknowledged:", socket.sid, request, arguments.values())

    def closed(self, socket: Socket, reason: str) -> None:
        print("closed:", socket.sid, reason)


if __name__ == "__main__":
    options = arguments(__doc__)
    app = SocketIOApp(Echo(), namespaces=("/", "/custom"), settings=options.settings)
    serve(app, options)
