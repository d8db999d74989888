from lbproto import Identity, Server, Unauthorized
from lbproto.wire import Peer
from migration.users import TOKENS


class Users:
    async def authenticate(
        self, token: str, peer: Peer
    ) -> Identity:
        if not peer.address or token not in TOKENS:
            raise Unauthorized("authentication failed")
        return Identity(user_id=TOKENS[token])


server = Server(auth=Users())
app = server.asgi()
