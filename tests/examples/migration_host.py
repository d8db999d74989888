"""All examples of the migration guide, served by one process: below /before/NAME and /after/NAME.

What each of them serves at `/` is served there, as a reverse proxy would do it.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import import_module
from pathlib import Path

from lbproto.asgi.lifespan import host_lifespan, serve_lifespan
from lbproto.asgi.types import ASGIApp, Receive, Scope, Send

EXAMPLES = Path(__file__).parents[2] / "examples"
MIGRATION = EXAMPLES / "migration"

sys.path.insert(0, str(EXAMPLES))


def _apps() -> dict[str, ASGIApp]:
    files = [*MIGRATION.glob("before/*.py"), *MIGRATION.glob("after/*.py")]
    files.sort(key=lambda file: file.stem != "logs")  # who comes first says how loggers are set up
    found = {}
    for file in files:
        module = import_module(f"migration.{file.parent.name}.{file.stem}")
        if hasattr(module, "app"):
            found[f"/{file.parent.name}/{file.stem}"] = module.app
    for name in ("both", "moved"):
        found[f"/{name}"] = import_module(f"migration.{name}").app
    return found


APPS = _apps()


@asynccontextmanager
async def _lifespans() -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for each in APPS.values():
            await stack.enter_async_context(host_lifespan(each, {}))
        yield


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await serve_lifespan(_lifespans, receive, send)
        return
    path = scope["path"]
    prefix = next((prefix for prefix in APPS if path.startswith(f"{prefix}/")), "/after/hello")
    await APPS[prefix]({**scope, "path": path.removeprefix(prefix)}, receive, send)
