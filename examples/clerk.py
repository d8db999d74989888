"""A server for users who sign in with Clerk; the client is clerk.mjs.

CLERK_ISSUER=https://clerk.example.com APP=https://app.example.com lbproto serve clerk:make
"""

import os
from typing import Any

from lbproto import Admission, Clerk, Context, Event, Identity, Plugin, Server


class WhoAmI(Event):
    pass


class You(Event):
    user_id: str
    organization_id: str | None


def profile() -> Plugin:
    plugin = Plugin("profile")

    @plugin.on(WhoAmI)
    async def who_am_i(ctx: Context, request: WhoAmI) -> You:
        return You(ctx.user_id, organization_of(ctx.session.identity))

    return plugin


def organization_of(identity: Identity) -> str | None:
    """Which one is active, as a token of version 2 says."""
    organization_id: str | None = identity.claims.get("o", {}).get("id")
    return organization_id


async def may_name(identity: Identity, application_id: str) -> bool:
    """Each organization is an application of its own."""
    return application_id in ("default", organization_of(identity))


def make(**options: Any) -> Server:
    app = os.environ["APP"]
    return Server(
        [profile()],
        auth=Clerk(os.environ["CLERK_ISSUER"], authorized_parties=[app]),
        admission=Admission(expiry="enforce", authorize=may_name),
        allowed_origins=[app],
        **options,
    )
