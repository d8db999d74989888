"""The backends that URLs name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from lbproto import UsageError
from lbproto.backends.base import PubSub, Storage
from lbproto.cli.config import Config
from lbproto.cli.configuring import Configured
from lbproto.cli.failure import Failure
from lbproto.logging import without_secrets

__all__ = ["server_options"]

T = TypeVar("T")

_REDIS = ("redis", "rediss", "unix")
_NATS = ("nats", "tls")
_SQLITE = "sqlite:"


def server_options(configured: Configured) -> dict[str, Any]:
    """What the function that makes the server is given: of `[server]`, what is configured.

    Raises:
        Failure: a URL names nothing that is known, or what is not installed.
    """
    makers: dict[str, Callable[[Config], Any]] = {
        "pubsub": lambda config: _pubsub(config.server.pubsub),
        "storage": lambda config: _storage(config.server.storage),
        "settings": lambda config: config.server.settings,
        "recovery": lambda config: config.server.recovery,
    }
    return {
        name: make(configured.config)
        for name, make in makers.items()
        if configured.given(f"server.{name}")
    }


def _pubsub(url: str) -> PubSub | None:
    if not url:
        return None
    scheme = url.partition(":")[0]
    if scheme in _REDIS:
        return _made("server.pubsub", url, "redis", _redis_pubsub)
    if scheme in _NATS:
        return _made("server.pubsub", url, "nats", _nats_pubsub)
    raise Failure(_unknown("server.pubsub", url, "redis://, rediss://, unix://, nats:// or tls://"))


def _storage(url: str) -> Storage | None:
    if not url:
        return None
    if url.startswith(_SQLITE):
        return _sqlite_storage(url.removeprefix(_SQLITE))
    if url.partition(":")[0] in _REDIS:
        return _made("server.storage", url, "redis", _redis_storage)
    raise Failure(_unknown("server.storage", url, "redis://, rediss://, unix:// or sqlite:PATH"))


def _made(name: str, url: str, extra: str, make: Callable[[str], T]) -> T:
    try:
        return make(url)
    except ModuleNotFoundError:
        raise Failure(f"{name} needs an extra: pip install 'lbproto[{extra}]'") from None
    except (UsageError, ValueError) as error:
        raise Failure(f"{name}: {without_secrets(str(error))}") from None


def _unknown(name: str, url: str, schemes: str) -> str:
    return f"{name} begins with {schemes}, not {url.partition(':')[0]!r}"


def _redis_pubsub(url: str) -> PubSub:
    from lbproto.backends.redis_pubsub import RedisPubSub

    return RedisPubSub(url)


def _nats_pubsub(url: str) -> PubSub:
    from lbproto.backends.nats_pubsub import NATSPubSub

    return NATSPubSub(url)


def _redis_storage(url: str) -> Storage:
    from lbproto.backends.redis_storage import RedisStorage

    return RedisStorage(url)


def _sqlite_storage(path: str) -> Storage:
    from lbproto.backends.sqlite import SQLiteStorage

    return SQLiteStorage(Path(path))
