"""Records in Redis or Valkey, for all nodes; needs `lbproto[redis]`.

Theory of operation. A record is a string, which the server lets expire. Those that have a parent
are named in an index beside them, by when they expire, and written together with it by a script;
the index and all its records have one hash tag, hence one slot of a cluster:

    <prefix>:record:<key>                       string: a record that has no parent
    <prefix>:record:{/<parent>}/<name>          string: one that has
    <prefix>:index:{/<parent>}                  sorted set: names, by when their records expire
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from importlib.resources import files
from math import ceil
from typing import Any

from lbproto.backends.base import MAX_CHILDREN, Storage, divided
from lbproto.backends.bridge import Bridged
from lbproto.extras import extra

with extra("redis", __name__):
    from redis import exceptions

    from lbproto.backends.redis_client import client, let_in, reach, without_braces

__all__ = ["RedisStorage"]

_NAME = "storage"


class RedisStorage(Bridged, Storage):
    """Records in Redis 6.2 or later, or Valkey; shared by all nodes that use the same server.

    How durable a record is the server decides: those outlive this process in any case, and the
    server with `appendonly yes`. `maxmemory-policy` has to be one that does not evict, or evicts
    `volatile` keys, where what has a time to live may be lost early. Times to live are measured by
    the server's clock.

    To enter it raises `Overloaded` where the server cannot be reached, and `UsageError` where the
    user in the URL is not let in, or may not run scripts on such keys. Nothing but reading and
    `put` is done twice: the others raise `Overloaded` where the connection is lost before they are
    answered, and may have been done.

    Args:
        url: `redis://[user:password@]host:port/database`, `rediss://` for TLS, or `unix://path`.
        prefix: what all keys begin with; no braces. Applications that share a server each have
            their own.
        timeout: for how long a command may take, in seconds.
        connections: how many are open at most.

    Raises:
        UsageError: there are braces in the prefix.
        ValueError: that is not a URL of a Redis.
    """

    durable = True

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "lbproto:storage",
        timeout: float = 5.0,
        connections: int = 8,
    ) -> None:
        super().__init__()
        self._prefix = without_braces(prefix, "RedisStorage")
        self._client = client(url, connections, timeout)
        self._command: Callable[..., Awaitable[Any]] = self._client.execute_command
        self._script = self._client.register_script(_SCRIPT)

    async def _open(self) -> None:
        with let_in():
            await self._children("")

    async def _close(self) -> None:
        await self._client.aclose()

    async def get(self, key: str) -> bytes | None:
        *_, record = self._keys(key)
        value: bytes | None = await self._do(partial(self._command, "GET", record))
        return value

    async def put(self, key: str, value: bytes, *, ttl: float | None = None) -> None:
        await self._do(partial(self._write, key, "put", value, *_milliseconds(ttl)))

    async def put_new(self, key: str, value: bytes, *, ttl: float | None = None) -> bool:
        return await self._write_once(key, "new", value, *_milliseconds(ttl)) == 1

    async def delete(self, key: str) -> bool:
        return await self._write_once(key, "delete") == 1

    async def increment(self, key: str, by: int = 1) -> int:
        try:
            return await self._write_once(key, "increment", by)
        except exceptions.ResponseError as error:
            raise ValueError(str(error)) from error

    async def children(self, parent: str) -> dict[str, bytes]:
        return await self._call(self._children, parent)

    async def _children(self, parent: str) -> dict[str, bytes]:
        async def read() -> dict[str, bytes]:
            folder = _folder(parent)
            names = await self._script([f"{self._prefix}:index:{folder}"], ["list", MAX_CHILDREN])
            if not names:
                return {}
            keys = [f"{self._prefix}:record:{folder}/".encode() + name for name in names]
            values = await self._command("MGET", *keys)
            pairs = zip(names, values, strict=True)
            return {name.decode(): value for name, value in pairs if value is not None}

        return await reach(_NAME, read)

    async def _do(self, work: Callable[[], Awaitable[Any]]) -> Any:
        return await self._call(reach, _NAME, work)

    async def _write_once(self, key: str, what: str, *arguments: Any) -> int:
        async def write() -> int:
            return await reach(_NAME, partial(self._write, key, what, *arguments), again=False)

        return await self._call(write)

    async def _write(self, key: str, what: str, *arguments: Any) -> int:
        _, name = divided(key)
        answer: int = await self._script(self._keys(key), [what, name, *arguments])
        return answer

    def _keys(self, key: str) -> list[str]:
        """The index of its folder, where it is in one, and its own."""
        folder, name = divided(key)
        if not folder:
            return [f"{self._prefix}:record:{name}"]
        tag = _folder(folder[:-1])
        return [f"{self._prefix}:index:{tag}", f"{self._prefix}:record:{tag}/{name}"]


def _folder(parent: str) -> str:
    """A hash tag; never an empty one, which would be none."""
    return f"{{/{parent}}}"


def _milliseconds(ttl: float | None) -> list[int]:
    return [] if ttl is None else [ceil(ttl * 1_000)]


_SCRIPT = files("lbproto.backends").joinpath("redis_storage.lua").read_text("utf-8")
