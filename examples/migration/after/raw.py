from lbproto.asgi import SocketIOApp
from lbproto.wire import Arguments, Inbound, Socket


class Echo:
    async def authenticate(
        self, socket: Socket, auth: Arguments
    ) -> None:
        """Raise `Refused` for who may not connect."""

    async def opened(self, socket: Socket) -> None:
        """Only now may something be emitted."""

    async def event(
        self, socket: Socket, inbound: Inbound
    ) -> None:
        data = inbound.arguments.values()
        socket.emit("echo", inbound.name, *data)
        if inbound.id is not None:
            socket.acknowledge(inbound.id, *data)

    def acknowledged(
        self,
        socket: Socket,
        request: int,
        arguments: Arguments,
    ) -> None:
        """The client answers what it was asked."""

    def closed(
        self, socket: Socket, reason: str
    ) -> None:
        """The socket is gone."""


app = SocketIOApp(Echo(), namespaces=["/", "/any"])
