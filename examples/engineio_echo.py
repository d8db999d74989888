"""An Engine.IO server that sends every message back: the wire-level port, below Socket.IO.

    python examples/engineio_echo.py --port 3000 --ping-interval 300 --ping-timeout 200

It serves what the public Engine.IO v4 test suite needs. To run that: get the folder
docs/engine.io-protocol/v4-test-suite of the repository socketio/socket.io, then `npm install` and
`npm test` in it, while this runs on port 3000 with the times above.
"""

from serving import arguments, serve

from lbproto.asgi import EngineIOApp
from lbproto.wire import Link, Message


class Echo:
    """One connection: sends back what it gets."""

    def __init__(self, link: Link) -> None:
        self.link = link

    def message(self, data: Message) -> None:
        self.link.send(data)

    def closed(self, reason: str) -> None:
        print("closed:", reason)


if __name__ == "__main__":
    options = arguments(__doc__)
    serve(EngineIOApp(Echo, settings=options.settings), options)
