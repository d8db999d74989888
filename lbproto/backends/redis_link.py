"""A connection of one node to Redis or Valkey for pub/sub: one server, Sentinel or cluster."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Any

from redis import exceptions
from redis.asyncio.connection import AbstractConnection
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from lbproto.backends.link import Confirm, Deliver, Link, finish, until_first
from lbproto.backends.redis_client import NOT_LET_IN, client, let_in

__all__ = ["Source", "connect"]

_CLOSING = 0.5  # seconds


class Source:
    """How the servers of one URL are reached.

    Raises:
        ValueError: that is no URL of a Redis.
    """

    def __init__(self, url: str, timeout: float) -> None:
        pool = client(url, 1, timeout).connection_pool
        self._class = pool.connection_class
        # Whether the broker takes too long is seen for the link as a whole.
        self._settings = {**pool.connection_kwargs, "protocol": 2, "socket_timeout": None}

    def connection(self, address: tuple[str, int] | None = None) -> AbstractConnection:
        """A connection that is not open yet.

        Args:
            address: to that one in place of the URL's.
        """
        settings = self._settings
        if address is not None:
            settings = {**settings, "host": address[0], "port": address[1]}
        return self._class(**settings)


class _Server:
    """One server, or one shard of a cluster: a connection to publish, and another to subscribe."""

    def __init__(self, source: Source, address: tuple[str, int] | None = None) -> None:
        self.publisher = source.connection(address)
        self.subscriber = source.connection(address)

    async def ask(self, *command: str) -> Any:
        """What it answers.

        Raises:
            redis.RedisError: it does not, or answers with an error.
        """
        await _send(self.publisher, [command])
        return await _read(self.publisher)

    async def about(self) -> dict[bytes, Any]:
        """What it says of itself."""
        told = await self.ask("HELLO")
        return dict(zip(told[::2], told[1::2], strict=True))

    async def close(self) -> None:
        """Give it up, without waiting for long for a server that hangs; raises nothing."""
        for connection in (self.publisher, self.subscriber):
            with suppress(OSError, exceptions.RedisError):
                async with asyncio.timeout(_CLOSING):
                    await connection.disconnect()


class RedisLink(Link):
    """Servers that together are one broker.

    Args:
        prefix: what all channels begin with.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._opened: list[_Server] = []
        self._servers: Sequence[_Server] = ()
        self._by_slot: list[_Server] | None = None
        self._shard = "S"  # what the commands for sharded channels begin with
        self._left: Counter[str] = Counter()

    async def open(self, sources: Sequence[Source], service: str, seconds: float) -> None:
        """Connect to the first source that leads to a broker."""
        failure: Exception = ConnectionError("there is no server")
        for source in sources:
            try:
                async with asyncio.timeout(seconds / len(sources)):
                    await self._discover(source, service)
                break
            except NOT_LET_IN:
                raise
            except (OSError, exceptions.RedisError) as error:
                failure = error
        else:
            raise failure
        for server in self._servers:
            await _open(server.subscriber)
        try:
            await self._servers[0].ask("SPUBLISH")
        except exceptions.ResponseError as error:
            if "unknown command" in str(error):
                self._shard = ""

    async def _discover(self, source: Source, service: str) -> None:
        first = await self._connected(source)
        told = await first.about()
        if told[b"mode"] == b"sentinel":
            address = await first.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", service)
            if address is None:
                raise exceptions.ConnectionError(f"the Sentinel knows no {service!r}")
            first = await self._connected(source, (address[0].decode(), int(address[1])))
            told = await first.about()
        if told[b"mode"] == b"cluster":
            await self._discover_cluster(source, first)
        elif told[b"role"] == b"master":
            self._servers = [first]
        else:  # the others hear nothing of what is published there
            raise exceptions.ConnectionError("the server is a replica")

    async def _discover_cluster(self, source: Source, first: _Server) -> None:
        by_address: dict[tuple[str, int], _Server] = {}
        by_slot: dict[int, _Server] = {}
        for start, end, (host, port, *_), *_ in await first.ask("CLUSTER", "SLOTS"):
            address = (host or b"").decode() or first.publisher.host, int(port)
            if address not in by_address:
                by_address[address] = await self._connected(source, address)
            by_slot.update(dict.fromkeys(range(start, end + 1), by_address[address]))
        if len(by_slot) < REDIS_CLUSTER_HASH_SLOTS:
            raise exceptions.ConnectionError("the cluster does not serve every slot")
        self._servers = list(by_address.values())
        self._by_slot = [by_slot[slot] for slot in range(REDIS_CLUSTER_HASH_SLOTS)]

    async def _connected(self, source: Source, address: tuple[str, int] | None = None) -> _Server:
        server = _Server(source, address)
        self._opened.append(server)
        await _open(server.publisher)
        return server

    def echoes(self, node: str) -> Sequence[str]:
        if self._by_slot is None:
            return [node]
        found: dict[_Server, str] = {}
        number = 0
        while len(found) < len(self._servers):
            name = f"{node}:{{{number}}}"
            found.setdefault(self._server(name), name)
            number += 1
        return list(found.values())

    async def publish(self, messages: Sequence[tuple[str, bytes]]) -> None:
        command = f"{self._shard}PUBLISH"
        commands: dict[_Server, list[tuple[str | bytes, ...]]] = {}
        for name, data in messages:
            each = command, self._wire(name), data
            commands.setdefault(self._server(name), []).append(each)
        for server, own in commands.items():
            await _send(server.publisher, own)
        with let_in():
            for server, own in commands.items():
                for _ in own:
                    await _read(server.publisher)

    async def change(self, added: Collection[str], removed: Collection[str]) -> None:
        commands: dict[_Server, list[tuple[str | bytes, ...]]] = {}
        for names, what in ((removed, "UNSUBSCRIBE"), (added, "SUBSCRIBE")):
            for name in names:
                command = self._shard + what, self._wire(name)
                commands.setdefault(self._server(name), []).append(command)
        self._left.update(iter(removed))
        for server, own in commands.items():
            await _send(server.subscriber, own)

    async def receive(self, deliver: Deliver, confirm: Confirm) -> None:
        with let_in():
            await until_first(*(self._read(each, deliver, confirm) for each in self._servers))

    async def _read(self, server: _Server, deliver: Deliver, confirm: Confirm) -> None:
        skipped = len(self._prefix) + 1
        while True:
            kind, channel, data = await _read(server.subscriber)
            name = channel.decode("utf-8", "surrogatepass")[skipped:]
            if kind.endswith(b"message"):
                deliver(name, data)
            elif not kind.endswith(b"unsubscribe"):
                confirm(name)
            elif self._left[name] > 1:
                self._left[name] -= 1
            elif not self._left.pop(name, 0):
                raise exceptions.ConnectionError("a shard has moved")

    async def close(self) -> None:
        await asyncio.gather(*(server.close() for server in self._opened))

    def _server(self, name: str) -> _Server:
        if self._by_slot is None:
            return self._servers[0]
        return self._by_slot[key_slot(self._wire(name))]

    def _wire(self, name: str) -> bytes:
        return f"{self._prefix}:{name}".encode("utf-8", "surrogatepass")


async def connect(
    sources: Sequence[Source], service: str, prefix: str, seconds: float
) -> RedisLink:
    """Make a link.

    Args:
        sources: where the broker may be found, tried in turn.
        service: what Sentinels call it.
        prefix: what all channels begin with.
        seconds: for how long; each source has its share.

    Raises:
        UsageError: the broker does not let the user in.
        OSError, redis.RedisError: it cannot be reached.
    """
    link = RedisLink(prefix)
    try:
        with let_in():
            await link.open(sources, service, seconds)
    except BaseException:
        await finish(link.close())
        raise
    return link


async def _open(connection: AbstractConnection) -> None:
    await connection.connect()  # type: ignore[no-untyped-call]


async def _read(connection: AbstractConnection) -> Any:
    """The next reply; where it does not come, the connection is left to be closed with the link."""
    return await connection.read_response(disable_decoding=True, disconnect_on_error=False)


async def _send(connection: AbstractConnection, commands: Sequence[Sequence[str | bytes]]) -> None:
    if not connection.is_connected:  # it would connect by itself, and know of no subscription
        raise exceptions.ConnectionError("the connection is lost")
    await connection.send_packed_command(connection.pack_commands(commands))
