"""A connection of one node to Redis or Valkey for pub/sub: one server, Sentinel or cluster."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Any

from hiredis import pack_command
from redis import exceptions
from redis.asyncio.connection import AbstractConnection
from redis.crc import key_slot

from lbproto.backends.link import Confirm, Deliver, Link, finish, until_first
from lbproto.backends.redis_client import NOT_LET_IN, client, let_in

__all__ = ["Command", "RedisLink", "Source", "connect"]

Command = Sequence[str | bytes | int]
"""A command and its arguments."""

_DENIED = "ACL failure in script", "The user executing the script can't"  # since Redis 7; before
_CLOSE_SECONDS = 0.5  # seconds


class Source:
    """How the servers of one URL are reached.

    Raises:
        ValueError: that is not a URL of a Redis.
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
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await connection.disconnect()


class RedisLink(Link):
    """Servers that together are one broker. A name begins with the tag of its shard.

    Args:
        prefix: what all channels begin with.
        tags: the hash tags of the shards, each of which is one server's.

    Attributes:
        kind: what the commands for channels begin with: "S" where a cluster's are sharded, too.
    """

    def __init__(self, prefix: str, tags: Sequence[str]) -> None:
        self.kind = "S"
        self._prefix = prefix
        self._tags = tags
        self._opened: list[_Server] = []
        self._servers: dict[str, _Server] = {}  # by tag
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
        for server in set(self._servers.values()):
            await _open(server.subscriber)
        try:
            await self._servers[self._tags[0]].ask("SPUBLISH")
        except exceptions.ResponseError as error:
            if "unknown command" in str(error):
                self.kind = ""

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
            self._servers = dict.fromkeys(self._tags, first)
        else:  # the others hear nothing of what is published there
            raise exceptions.ConnectionError("the server is a replica")

    async def _discover_cluster(self, source: Source, first: _Server) -> None:
        by_address: dict[tuple[str, int], _Server] = {}
        for start, end, (host, port, *_), *_ in await first.ask("CLUSTER", "SLOTS"):
            address = (host or b"").decode() or first.publisher.host, int(port)
            for tag in self._tags:
                if start <= key_slot(tag.encode()) <= end:
                    if address not in by_address:
                        by_address[address] = await self._connected(source, address)
                    self._servers[tag] = by_address[address]
        if len(self._servers) < len(self._tags):
            raise exceptions.ConnectionError("the cluster does not serve every slot")

    async def _connected(self, source: Source, address: tuple[str, int] | None = None) -> _Server:
        server = _Server(source, address)
        self._opened.append(server)
        await _open(server.publisher)
        return server

    async def ask(self, commands: Sequence[tuple[str, Command]]) -> list[Any]:
        """Have commands done, each by the server of a shard; one call at a time.

        Args:
            commands: each behind the tag of its shard.

        Returns:
            What they answer, in order; a `NoScriptError` where that is the answer.
        """
        by_server: dict[_Server, list[Command]] = {}
        for tag, command in commands:
            by_server.setdefault(self._servers[tag], []).append(command)
        for server, own in by_server.items():
            await _send(server.publisher, own)
        answers: list[Any] = []
        with let_in():
            for tag, _ in commands:
                try:
                    answers.append(await _read(self._servers[tag].publisher))
                except exceptions.NoScriptError as error:
                    answers.append(error)
                except exceptions.ResponseError as error:
                    if any(denied in str(error) for denied in _DENIED):
                        raise exceptions.NoPermissionError(str(error)) from error
                    raise
        return answers

    async def change(self, added: Collection[str], removed: Collection[str]) -> None:
        commands: dict[_Server, list[Command]] = {}
        for names, what in ((removed, "UNSUBSCRIBE"), (added, "SUBSCRIBE")):
            for name in names:
                command = self.kind + what, self._wire(name)
                commands.setdefault(self._server(name), []).append(command)
        self._left.update(iter(removed))
        for server, own in commands.items():
            await _send(server.subscriber, own)

    async def receive(self, deliver: Deliver, confirm: Confirm) -> None:
        with let_in():
            servers = set(self._servers.values())
            await until_first(*(self._read(each, deliver, confirm) for each in servers))

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
        return self._servers[name.partition(":")[0]]

    def _wire(self, name: str) -> bytes:
        return f"{self._prefix}:{name}".encode("utf-8", "surrogatepass")


async def connect(
    sources: Sequence[Source], service: str, prefix: str, tags: Sequence[str], seconds: float
) -> RedisLink:
    """Make a link.

    Args:
        sources: where the broker may be found, tried in turn.
        service: what Sentinels call it.
        prefix: what all channels begin with.
        tags: the hash tags of the shards.
        seconds: for how long; each source has its share.

    Raises:
        UsageError: the broker does not let the user in.
        OSError, redis.RedisError: it cannot be reached.
    """
    link = RedisLink(prefix, tags)
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


async def _send(connection: AbstractConnection, commands: Sequence[Command]) -> None:
    if not connection.is_connected:  # it would connect by itself, and know of no subscription
        raise exceptions.ConnectionError("the connection is lost")
    # The connection's own way to pack takes six times as long.
    packed = (pack_command(tuple(command)) for command in commands)  # type: ignore[arg-type]
    await connection.send_packed_command(b"".join(packed))
