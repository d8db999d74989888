"""Accounts in Redis or Valkey; needs `lbproto[redis]`.

Theory of operation. An account is read, changed here, and written by one script, which writes only
if nobody else has since: each write leaves a stamp, and the script compares. Where somebody has
come first it answers with what is there now, so that another try takes one more round trip. That
makes a lost answer harmless, too: the script sent again finds its own stamp and writes nothing.

All keys of an account, and the index of when it is due, have one hash tag, hence one slot:

    <prefix>:{<shard>}:account:<account>      hash: `stamp` and `state`
    <prefix>:{<shard>}:receipts:<account>     hash: a receipt by transaction id
    <prefix>:{<shard>}:movements:<account>    list: the movement of version n is at n - 1
    <prefix>:{<shard>}:due                    sorted set: accounts, by the moment they are due
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from importlib.resources import files
from secrets import token_bytes
from typing import Any, TypeVar
from zlib import crc32

import msgspec

from lbproto.backends.bridge import Bridged
from lbproto.errors import Overloaded
from lbproto.extras import extra
from lbproto.ledger.account import Account, Change, Movement, Outcome, Receipt, State
from lbproto.ledger.lanes import Batch, Lanes, Waiting, fold
from lbproto.ledger.store import LedgerStore

with extra("redis", __name__):
    from lbproto.backends.redis_client import client, let_in, reach, without_braces

__all__ = ["RedisLedger"]

T = TypeVar("T")

_SHARDS = 16
"""How many indexes of due accounts there are. Part of what is stored: never changed."""

_NAME = "credit store"

_MAX_TRIES = 100
"""How often others may come first before a commit is given up."""

logger = logging.getLogger("lbproto.ledger")


class RedisLedger(Bridged, LedgerStore):
    """Accounts in Redis 6.2 or later, or Valkey; shared by all nodes that use the same server.

    How durable a commit is the server decides, and few settings of it are as strict as SQLite and
    PostgreSQL are here: with `appendonly yes` and `appendfsync always` it is on disk; with
    `everysec`, the default of `appendonly yes`, a crash of the machine takes the last second; with
    neither, a restart takes everything since the last snapshot. A replica that is promoted may lack
    the last commits in any case. `maxmemory-policy` has to be `noeviction`. What the server says of
    itself is looked at on entering, and what loses credits is logged as a warning.

    To enter it raises `Overloaded` where the server cannot be reached, and `UsageError` where the
    user in the URL is not let in, or may not do what is needed.

    Args:
        url: `redis://[user:password@]host:port/database`, `rediss://` for TLS, or `unix://path`.
        prefix: what all keys begin with; no braces.
        timeout: for how long a command may take, in seconds.
        connections: how many are open at most; so many accounts are changed at once.
        waiting: how many commands may wait at once.

    Raises:
        UsageError: there are braces in the prefix.
        ValueError: that is not a URL of a Redis.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "lbproto:credits",
        timeout: float = 5.0,
        connections: int = 8,
        waiting: int = 10_000,
    ) -> None:
        super().__init__()
        self._prefix = without_braces(prefix, "RedisLedger")
        self._lanes = Lanes(self._commit, timeout, waiting, connections)
        self._client = client(url, connections, timeout)
        self._command: Callable[..., Awaitable[Any]] = self._client.execute_command
        self._script = self._client.register_script(_SCRIPT)

    async def transact(
        self, account: Account, transaction_id: str, change: Change[T]
    ) -> Outcome[T]:
        return await self._call(self._lanes.transact, account, transaction_id, change)

    async def movements(
        self, account: Account, before: int | None = None, limit: int = 100
    ) -> list[Movement]:
        async def read() -> list[Movement]:
            key = _Keys(self._prefix, account).movements
            last: int = await self._command("LLEN", key)
            if before is not None:
                last = min(last, before - 1)
            if last <= 0 or limit <= 0:
                return []
            first = max(0, last - limit)
            kept = await self._command("LRANGE", key, first, last - 1)
            return [_MOVEMENT.decode(blob) for blob in reversed(kept)]

        return await self._call(reach, _NAME, read)

    async def due(self, now: int, limit: int = 100) -> list[Account]:
        async def read() -> list[Account]:
            pipeline = self._client.pipeline(transaction=False)
            for shard in range(_SHARDS):
                key = _due_key(self._prefix, shard)
                options: tuple[Any, ...] = ("WITHSCORES", "LIMIT", 0, limit)
                pipeline.execute_command("ZRANGEBYSCORE", key, "-inf", now, *options)
            found = [pair for shard in await pipeline.execute() for pair in shard]
            found.sort(key=lambda pair: pair[1])
            return [_account(member) for member, _ in found[:limit]]

        return await self._call(reach, _NAME, read)

    async def _open(self) -> None:
        with let_in():
            await reach(_NAME, self._look_at_server)

    async def _close(self) -> None:
        await self._lanes.aclose()
        await self._client.aclose()

    async def _look_at_server(self) -> None:
        found = await self._client.info()  # before Redis 7 it takes one section by name, or none
        if not found.get("aof_enabled"):
            logger.warning("The credit store has `appendonly no`: a restart of it loses credits")
        policy = found.get("maxmemory_policy", "noeviction")
        if policy != "noeviction":
            logger.warning("The credit store evicts keys (`maxmemory-policy %s`)", policy)

    async def _commit(
        self, account: Account, waiting: Sequence[Waiting[Any]]
    ) -> Sequence[Outcome[Any] | Exception]:
        keys = _Keys(self._prefix, account)
        ids = list(dict.fromkeys(each.transaction_id for each in waiting))
        stamp = token_bytes(8)
        arguments: list[Any] = ["?", len(ids), *ids]  # no account has that stamp: only read
        results: list[Outcome[Any] | Exception] = []

        async def commit() -> Sequence[Outcome[Any] | Exception]:
            nonlocal arguments, results
            for _ in range(_MAX_TRIES):
                answer = await self._script(keys.all, arguments)
                if not answer or answer[0] == stamp:  # written now, or where the answer was lost
                    return results
                found, state, receipts = answer
                before = State() if state is None else _STATE.decode(state)
                batch = fold(before, _known(ids, receipts), waiting)
                results = batch.results
                if not batch.is_change:
                    return results
                written = _written(before, batch, keys.member)
                arguments = [found, len(ids), *ids, stamp, *written]
            raise Overloaded("Too many change this account at once; try again", retry_after=1)

        return await reach(_NAME, commit)


class _Keys:
    """The keys of an account."""

    def __init__(self, prefix: str, account: Account) -> None:
        self.member = _member(account)
        shard = crc32(self.member.encode()) % _SHARDS
        tag = f"{prefix}:{{{shard}}}"
        self.movements = f"{tag}:movements:{self.member}"
        self.all = [
            f"{tag}:account:{self.member}",
            f"{tag}:receipts:{self.member}",
            self.movements,
            _due_key(prefix, shard),
        ]


def _due_key(prefix: str, shard: int) -> str:
    return f"{prefix}:{{{shard}}}:due"


def _member(account: Account) -> str:
    """An account in one string; with a length, since either part may hold any separator."""
    return f"{len(account.application_id)}:{account.application_id}:{account.user_id}"


def _account(member: bytes) -> Account:
    length, _, rest = member.decode().partition(":")
    return Account(rest[int(length) + 1 :], rest[: int(length)])


def _known(ids: Sequence[str], receipts: Sequence[bytes | None]) -> dict[str, Receipt]:
    pairs = zip(ids, receipts, strict=True)
    return {id_: _RECEIPT.decode(receipt) for id_, receipt in pairs if receipt is not None}


def _written(before: State, batch: Batch, member: str) -> list[Any]:
    """What the script is given to write."""
    due = batch.state.due_at
    arguments: list[Any] = [
        _encode(batch.state),
        "" if due is None else due,
        member,
        before.version,
        len(batch.movements),
        *map(_encode, batch.movements),
    ]
    for transaction_id, receipt in batch.receipts.items():
        arguments += (transaction_id, _encode(receipt))
    return arguments


_encode = msgspec.msgpack.Encoder().encode
_STATE = msgspec.msgpack.Decoder(State)
_RECEIPT = msgspec.msgpack.Decoder(Receipt)
_MOVEMENT = msgspec.msgpack.Decoder(Movement)
_SCRIPT = files("lbproto.ledger").joinpath("redis.lua").read_text("utf-8")
