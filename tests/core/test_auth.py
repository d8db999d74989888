"""Who a client is: static tokens, and the prefix that may stand before any token."""

from __future__ import annotations

from typing import Any

import pytest

from lbproto import (
    Identity,
    Internal,
    Overloaded,
    Server,
    StaticTokens,
    Unauthorized,
    UsageError,
)
from lbproto.auth import strip_bearer
from lbproto.testing import VirtualClock
from lbproto.wire import Peer, Refused, Unavailable
from lbproto.wire.arguments import ObjectArguments
from tests.core.harness import MemorySocket

pytestmark = pytest.mark.anyio

TABLE = {"t-ada": "ada", "t-ada-2": "ada", "pässword-☃": "bob", "x" * 5_000: "long"}


@pytest.mark.parametrize(("token", "user"), TABLE.items(), ids=lambda text: text[:10])
async def test_a_known_token_is_its_user(token: str, user: str) -> None:
    assert await StaticTokens(TABLE).authenticate(token, Peer()) == Identity(user, {})


@pytest.mark.parametrize(
    "token",
    ["", "t-ad", "t-ada-", "T-ADA", " t-ada", "t-ada\x00", "ada", "p\ud800", "\udcff" * 3, "☃"],
    ids=ascii,
)
async def test_any_other_is_not_accepted(token: str) -> None:
    with pytest.raises(Unauthorized, match=r"^the token is missing or not known$"):
        await StaticTokens(TABLE).authenticate(token, Peer())


async def test_the_table_is_not_looked_at_later() -> None:
    table = {"t": "ada"}
    tokens = StaticTokens(table)
    table["u"] = "eve"
    with pytest.raises(Unauthorized):
        await tokens.authenticate("u", Peer())


@pytest.mark.parametrize(
    ("sent", "token"),
    [
        ("t", "t"),
        ("Bearer t", "t"),
        ("bearer t", "t"),
        ("BEARER t", "t"),
        ("  Bearer   t  ", "t"),
        ("Bearer Bearer t", "Bearer t"),
        ("Bearert", "Bearert"),
        ("Basic t", "Basic t"),
        ("Bearer", "Bearer"),
        ("", ""),
        ("  ", ""),
    ],
)
def test_the_prefix_is_optional(sent: str, token: str) -> None:
    assert strip_bearer(sent) == token


# At the server's door


def server(**tokens: str) -> Server:
    return Server(auth=StaticTokens(tokens), clock=VirtualClock())


@pytest.mark.parametrize("auth", [{"token": "t"}, {"token": "Bearer t"}, {"token": "bEARER t"}])
async def test_a_client_that_shows_its_token_is_let_in(auth: dict[str, Any]) -> None:
    socket = MemorySocket()
    await server(t="ada").sessions.authenticate(socket, ObjectArguments([auth]))
    assert socket.state.identity == Identity("ada")


@pytest.mark.parametrize(
    ("auth", "message"),
    [
        ([], "the token is missing or not known"),
        ([None], "the token is missing or not known"),
        ([{}], "the token is missing or not known"),
        ([{"token": ""}], "the token is missing or not known"),
        ([{"token": "Bearer "}], "the token is missing or not known"),
        ([{"token": "wrong"}], "the token is missing or not known"),
        ([{"Token": "t"}], "the token is missing or not known"),
        ([{"token": 7}], "Expected `str`, got `int` - at `$.token`"),
        ([{"token": None}], "Expected `str`, got `null` - at `$.token`"),
        (["t"], "Expected `object`, got `str`"),
    ],
    ids=repr,
)
async def test_a_refusal_is_told_in_the_contracts_words(auth: list[Any], message: str) -> None:
    socket = MemorySocket()
    with pytest.raises(Refused) as refusal:
        await server(t="ada").sessions.authenticate(socket, ObjectArguments(auth))
    assert refusal.value.message == message
    assert refusal.value.data == {"code": "UNAUTHORIZED", "message": message}
    assert socket.state is None


async def test_the_authenticator_sees_the_peer_and_the_bare_token() -> None:
    seen: list[tuple[str, Peer]] = []

    class Spy:
        async def authenticate(self, token: str, peer: Peer) -> Identity:
            seen.append((token, peer))
            return Identity("ada", {"tier": "pro"})

    socket = MemorySocket()
    await Server(auth=Spy()).sessions.authenticate(
        socket, ObjectArguments([{"token": "Bearer abc"}])
    )
    assert seen == [("abc", socket.peer)]
    assert socket.state.identity.claims == {"tier": "pro"}


@pytest.mark.parametrize("user_id", ["", None, 7], ids=repr)
async def test_a_user_without_an_id_is_a_mistake_of_the_host(user_id: Any) -> None:
    class Careless:
        async def authenticate(self, token: str, peer: Peer) -> Identity:
            return Identity(user_id)

    with pytest.raises(UsageError, match=r"^a user id is text of 1 or more characters, not "):
        await Server(auth=Careless()).sessions.authenticate(MemorySocket(), ObjectArguments([]))
    with pytest.raises(UsageError, match=r"^a user id is text"):
        StaticTokens({"t": user_id})


async def test_what_is_no_identity_is_told_with_the_name_of_who_gave_it() -> None:
    class Forgetful:
        async def authenticate(self, token: str, peer: Peer) -> Any:
            return {"secret": token}

    with pytest.raises(
        UsageError, match=r"Forgetful\.authenticate returned a value of type dict, n"
    ):
        await Server(auth=Forgetful()).sessions.authenticate(MemorySocket(), ObjectArguments([]))


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (Overloaded("later"), Unavailable),
        (Internal("us"), Internal),
        (OSError("no network"), OSError),
    ],
)
async def test_what_may_be_retried_is_no_final_refusal(
    error: Exception, told: type[Exception]
) -> None:
    """A stock client does not come back after a refusal: the transport is closed instead."""

    class Broken:
        async def authenticate(self, token: str, peer: Peer) -> Identity:
            raise error

    with pytest.raises(told):
        await Server(auth=Broken()).sessions.authenticate(MemorySocket(), ObjectArguments([]))
