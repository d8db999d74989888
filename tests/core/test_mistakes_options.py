"""Typical mistakes in what servers, clients and their settings are given; see `test_mistakes`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lbproto import (
    Admission,
    Client,
    Context,
    Identity,
    Plugin,
    Recovery,
    Server,
    Settings,
    StaticTokens,
    UsageError,
)
from lbproto.client import Bounds
from lbproto.wire import Peer

AUTH = StaticTokens({"secret": "ada"})


class NotAsync:
    def authenticate(self, token: str, peer: Peer) -> Identity:
        return Identity(token)


async def of_a_token(token: str) -> Identity:
    return Identity(token)


def factory() -> Plugin:
    return Plugin("p")


async def layer(ctx: Context) -> None: ...


AUTHENTICATES = (
    r"^auth= takes an authenticator, such as .* `async def authenticate\(token, peer\)` "
)
MIDDLEWARE = r"^middleware is `async def middleware\(ctx, call_next\)`, .* not the function "


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"auth": None}, rf"{AUTHENTICATES}.* not None$"),
        ({"auth": "secret"}, rf"{AUTHENTICATES}.* not a value of type str$"),
        ({"auth": {"secret": "ada"}}, rf"{AUTHENTICATES}.* not a value of type dict$"),
        ({"auth": StaticTokens}, rf"{AUTHENTICATES}.* not the class StaticTokens$"),
        ({"auth": NotAsync()}, rf"{AUTHENTICATES}.* not a value of type NotAsync$"),
        ({"auth": of_a_token}, rf"{AUTHENTICATES}.* not the function of_a_token$"),
        ({"plugins": Plugin("p")}, r"write Server\(\[plugin\]\), not a value of type Plugin$"),
        ({"plugins": [factory]}, r"not the function factory: write factory\(\.\.\.\)$"),
        ({"plugins": ["chat"]}, "^a server takes plugins, not a value of type str$"),
        ({"middleware": layer}, r"write middleware=\[function\], not the function layer$"),
        ({"middleware": [layer]}, rf"{MIDDLEWARE}layer$"),
        ({"middleware": [print]}, rf"{MIDDLEWARE}print$"),
        ({"namespaces": "/chat"}, r"^namespaces= takes a list: write namespaces=\['/chat'\], "),
        ({"namespaces": ["chat"]}, "^a namespace begins with a slash: write '/chat', not 'chat'$"),
        ({"namespaces": [None]}, r"^namespaces= takes a list of str, not of None$"),
        ({"allowed_origins": "https://a.com"}, r"write allowed_origins=\['https://a.com'\], not"),
        ({"max_rooms": -1}, "^max_rooms is a whole number, 0 or more, not -1$"),
        ({"max_jobs": 1.5}, "^max_jobs is a whole number, 0 or more, not a value of type float$"),
    ],
)
def test_what_a_server_cannot_be_given(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Server(**{"auth": AUTH, **options})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Settings(ping_interval=-1),
            "^Settings: ping_interval is a number above 0, not -1",
        ),
        (
            lambda: Settings(max_payload=0),
            "^Settings: max_payload is a whole number above 0, not 0",
        ),
        (lambda: Settings(ping_timeout=float("nan")), "ping_timeout is a number above 0, not nan$"),
        (
            lambda: Settings(max_attachments=-1),
            "^Settings: max_attachments is a whole number, 0 or",
        ),
        (lambda: Settings(max_payload=True), "max_payload is .* not a value of type bool$"),
        (lambda: Recovery(window=-1), "^Recovery: window is a number above 0, not -1$"),
        (lambda: Recovery(grace=-1), "^Recovery: grace is a number, 0 or more, not -1$"),
        (lambda: Recovery(max_away=0), "^Recovery: max_away is a whole number above 0, not 0$"),
        (lambda: Recovery(grace=9, window=8), "the grace cannot be longer than the window$"),
        (lambda: Bounds(open_timeout=0), "^Bounds: open_timeout is a number above 0, not 0$"),
        (lambda: Admission(max_session_age=0), "^Admission: max_session_age is a number above 0"),
        (
            lambda: Admission(expiry="enforced"),  # type: ignore[arg-type]
            "^Admission: expiry is 'ignore' or 'enforce', not 'enforced'$",
        ),
        (
            lambda: Client("ws://example.com", wire="socketio"),  # type: ignore[arg-type]
            "^wire= is one of plain-json, plain-msgpack, .*socketio-msgpack, not 'socketio'$",
        ),
    ],
)
def test_bounds_that_are_none(make: Callable[[], object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()


def test_a_function_authenticates() -> None:
    async def authenticate(token: str, peer: Peer) -> Identity:
        return Identity(token)

    Server(auth=authenticate)
