"""What a server is given, looked at before anything is made of it.

The mistakes told here would show at the first connection only, or never.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from lbproto.auth import Authenticate, Authenticator
from lbproto.errors import UsageError
from lbproto.middleware import Middleware
from lbproto.plugin import Plugin
from lbproto.validation.mistakes import check_number, name_of, shown
from lbproto.validation.signatures import is_async, takes

__all__ = ["authenticate", "bound", "middleware", "namespaces", "plugins", "texts"]

T = TypeVar("T")


def authenticate(auth: Authenticator | Authenticate) -> Authenticate:
    """What verifies tokens, of an authenticator or a function.

    Raises:
        UsageError: it is neither, or not async.
    """
    function: Any = getattr(auth, "authenticate", auth)
    if not is_async(function) or not takes(function, "", None):
        raise UsageError(
            "auth= takes an authenticator, such as StaticTokens({...}) or Clerk(...), or an "
            f"`async def authenticate(token, peer)` that returns an Identity, not {shown(auth)}"
        )
    verified: Authenticate = function
    return verified


def plugins(given: Iterable[Any]) -> tuple[Plugin, ...]:
    """The plugins of a server.

    Raises:
        UsageError: they are not in a list, or one is something else, such as its factory.
    """
    found = _listed("plugins", given, "Server([plugin])")
    for each in found:
        if not isinstance(each, Plugin):
            call = f": write {name_of(each)}(...)" if callable(each) else ""
            raise UsageError(f"a server takes plugins, not {shown(each)}{call}")
    return found


def middleware(given: Iterable[Any]) -> tuple[Middleware, ...]:
    """The host's middleware.

    Raises:
        UsageError: it is not in a list, or a part of it cannot be called like middleware.
    """
    found = _listed("middleware", given, "middleware=[function]")
    for each in found:
        if not is_async(each) or not takes(each, None, None):
            raise UsageError(
                "middleware is `async def middleware(ctx, call_next)`, which awaits "
                f"call_next(ctx), not {shown(each)}"
            )
    return found


def namespaces(given: Iterable[str]) -> frozenset[str]:
    """Namespaces of Socket.IO.

    Raises:
        UsageError: they are not in a list, or one does not begin with a slash.
    """
    found = texts("namespaces", given)
    for each in found:
        if not each.startswith("/"):
            raise UsageError(f"a namespace begins with a slash: write '/{each}', not {each!r}")
    return frozenset(found)


def texts(name: str, given: Iterable[Any]) -> tuple[str, ...]:
    """Texts in a list, which one of them is not.

    Raises:
        UsageError: they are something else.
    """
    found = _listed(name, given, f"{name}=[{given!r}]")
    for each in found:
        if not isinstance(each, str):
            raise UsageError(f"{name}= takes a list of str, not of {shown(each)}")
    return found


def bound(name: str, given: int) -> int:
    """How many there may be.

    Raises:
        UsageError: it is no such number.
    """
    check_number(name, given, zero=True)
    return given


def _listed(name: str, given: Iterable[T], instead: str) -> tuple[T, ...]:
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise UsageError(f"{name}= takes a list: write {instead}, not {shown(given)}")
    return tuple(given)
