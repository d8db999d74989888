"""What commands have of a client: who it is, what it hears, and its troubles told in a sentence."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from lbproto.cli.failure import Failure
from lbproto.client import Bounds, Disconnected
from lbproto.errors import Overloaded, Unauthorized
from lbproto.wire.settings import ProtocolError

__all__ = ["BOUNDS", "Heard", "default_token", "telling"]

_WHERE = "name an lbproto server"
BOUNDS = Bounds(max_message=64 * 1024 * 1024)


class Heard(msgspec.Struct, omit_defaults=True):
    """An event from the server, as it is on the wire; `re` is the request that it answers."""

    event: str
    data: Any = None
    re: int | str | None = None

    @property
    def refusal(self) -> bool:
        """Whether it says that a request has failed: by the error envelope, with one exception."""
        if self.event == "insufficient_credits":
            return True
        return isinstance(self.data, dict) and {"code", "message"} <= self.data.keys()


def default_token() -> str:
    """The token for the demo of whoever is logged in."""
    try:
        return f"demo-{getpass.getuser()}"
    except (OSError, KeyError):  # a user id without a name, as in containers
        return "demo-guest"


@contextmanager
def telling(token: str) -> Iterator[None]:
    """Tell what a client meets in a sentence that says what to do.

    Args:
        token: what it shows.

    Raises:
        Failure: nothing answers, it is not an lbproto server, it refuses the token or went away.
    """
    try:
        yield
    except Unauthorized as refused:
        # A real token is a secret, and stays off the screen.
        which = f"token {token}" if token == default_token() else "token"
        raise Failure(
            f"the server refuses the {which} ({refused.message}): "
            "give yours with --token or in LBPROTO_TOKEN"
        ) from None
    except Overloaded as busy:
        raise Failure(f"{busy.message}: try again later") from None
    except ProtocolError as error:
        raise Failure(f"{error}: {_WHERE} with --url") from None
    except Disconnected as error:
        again = "try again later, or name another server" if error.retryable else _WHERE
        raise Failure(f"{error}: {again} with --url") from None
    except TimeoutError as error:
        raise Failure(f"{error}: try again later") from None
