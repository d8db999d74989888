"""An app whose users may ask for two things, and hardly anything after that for ten minutes."""

from __future__ import annotations

from lbproto import Identity, Limits, Server, Tier, Unauthorized, Window
from lbproto.transport import Peer
from tests.e2e.probe import probe


class _Tokens:
    """A token `token-<user>` is that user's, so that each test has its own."""

    async def authenticate(self, token: str, peer: Peer) -> Identity:
        if not token.startswith("token-"):
            raise Unauthorized("no token")
        return Identity(token.removeprefix("token-"))


limits = Limits(
    tiers={"free": Tier(Window(4, 600))},
    per_session=Window(60, 600),
    flood=Window(20, 600),
)
app = Server([probe()], auth=_Tokens(), limits=limits).asgi()
