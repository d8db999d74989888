"""The server that `module:name` names."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from lbproto import Server, UsageError
from lbproto.asgi import Probes, ServerApp
from lbproto.asgi.lifespan import host_lifespan
from lbproto.asgi.types import ASGIApp
from lbproto.cli.failure import Failure

__all__ = ["Target", "find", "load"]


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be served.

    Attributes:
        app: as an ASGI app.
        lifespan: what to serve it in, filling the state that its requests get; raises what keeps
            it from starting.
        server: the server behind it; None where the app does not tell.
    """

    app: ASGIApp
    lifespan: Callable[[dict[str, Any]], AbstractAsyncContextManager[None]]
    server: Server | None

    @classmethod
    def of(cls, server: Server, fallback: ASGIApp | None = None) -> Target:
        """A server by itself, or with what is at other paths."""
        app = server.asgi(fallback, Probes())
        return cls(app, app.lifespan, server)


_NONE: Mapping[str, Any] = {}


def load(name: str, options: Mapping[str, Any] = _NONE) -> Target:
    """Import what `name` names: a `Server`, a function that makes one, or an ASGI app.

    Args:
        options: given to the function, by name.

    Raises:
        Failure: there is no such thing, it cannot be made, or it takes no such options.
    """
    found = find(name, "server", "hello:server")
    if not isinstance(found, Server) and _takes(found, options):
        found = _call(found, name, options)
    elif options:
        raise Failure(_takes_none(name, found, options))
    if isinstance(found, Server):
        return Target.of(found)
    if not callable(found):
        kind = type(found).__name__
        raise Failure(f"{name} is of type {kind}: it has to be a Server, or a function making one")
    if isinstance(found, ServerApp):
        return Target(found, found.lifespan, found.server)
    return Target(found, partial(host_lifespan, found), None)


def find(name: str, what: str, example: str) -> Any:
    """Import what `name` names; the current directory is importable, as it is for `python -m`.

    Args:
        what: it is meant to be.
        example: of such a name.

    Raises:
        Failure: there is no such thing.
    """
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise Failure(f"{name!r} names no {what}: write module:name, such as {example}")
    sys.path.insert(0, str(Path.cwd()))
    return _attribute(_import(module), attribute)


def _import(module: str) -> Any:
    try:
        return import_module(module)
    except UsageError as error:
        raise Failure(f"{module}: {error}") from error
    except Exception as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is not None and f"{module}.".startswith(f"{missing}."):
            place = Path.cwd()
            raise Failure(
                f"there is no module {missing!r}, neither installed nor in {place}"
            ) from None
        raise Failure(f"the module {module!r} cannot be imported: see above", error) from error


def _attribute(module: Any, path: str) -> Any:
    found = module
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            servers = [name for name, value in vars(module).items() if isinstance(value, Server)]
            hint = f"; there is {module.__name__}:{servers[0]}" if servers else ""
            raise Failure(f"the module {module.__name__!r} has no {path!r}{hint}") from None
    return found


def _takes(found: Any, options: Mapping[str, Any]) -> bool:
    """Whether it is called with these and nothing else, as a factory is and an ASGI app is not."""
    if not callable(found):
        return False
    try:
        inspect.signature(found).bind(**options)
    except (TypeError, ValueError):  # arguments are missing, or nothing is known of them
        return False
    return True


def _takes_none(name: str, found: Any, options: Mapping[str, Any]) -> str:
    told = ", ".join(f"server.{option}" for option in options)
    if callable(found) and not isinstance(found, Server) and _takes(found, _NONE):
        return f"{name} does not take all of {told}: give it **options, for Server(..., **options)"
    return (
        f"{told} cannot be given to {name}, which is made already: name a function, such as "
        "def make(**options): return Server(..., **options)"
    )


def _call(factory: Any, name: str, options: Mapping[str, Any]) -> Any:
    try:
        made = factory(**options)
    except UsageError as error:
        raise Failure(f"{name}: {error}") from error
    except Exception as error:
        raise Failure(f"{name} has made no server: see above", error) from error
    if inspect.iscoroutine(made):
        made.close()
        raise Failure(f"{name} is an async function: the one that makes a server has to be plain")
    return made
