"""A storage of one's own: some hundred records in a file, for all processes of a machine."""

import fcntl
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import TypeVar

from anyio.to_thread import run_sync
from msgspec.msgpack import decode, encode

from lbproto import Clock, SystemClock
from lbproto.backends.base import MAX_CHILDREN, Storage, divided

T = TypeVar("T")
Records = dict[str, tuple[bytes, float]]  # each with its end, by the clock's wall time


class FileStorage(Storage):
    def __init__(self, path: Path, clock: Clock | None = None) -> None:
        self._path, self._clock, self.durable = path, clock or SystemClock(), True

    async def get(self, key: str) -> bytes | None:
        return await run_sync(self._do, lambda records: records.get(key, (None,))[0])

    async def put(self, key: str, value: bytes, *, ttl: float | None = None) -> None:
        new = value, self._clock.now() + (ttl or inf)
        await run_sync(self._do, lambda records: records.update({key: new}))

    async def put_new(self, key: str, value: bytes, *, ttl: float | None = None) -> bool:
        new = value, self._clock.now() + (ttl or inf)
        return await run_sync(self._do, lambda records: records.setdefault(key, new) is new)

    async def delete(self, key: str) -> bool:
        return await run_sync(self._do, lambda records: records.pop(key, None) is not None)

    async def increment(self, key: str, by: int = 1) -> int:
        def add(records: Records) -> int:
            value, end = records.get(key, (b"0", inf))
            records[key] = b"%d" % (int(value) + by), end
            return int(value) + by

        return await run_sync(self._do, add)

    async def children(self, parent: str) -> dict[str, bytes]:
        records = await run_sync(self._do, dict)
        found = [key for key in records if divided(key)[0] == f"{parent}/"]
        return {divided(key)[1]: records[key][0] for key in found[:MAX_CHILDREN]}

    def _do(self, change: Callable[[Records], T]) -> T:
        new = self._path.with_suffix(".new")
        with self._path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            all_ = decode(self._path.read_bytes(), type=Records) if self._path.exists() else {}
            live = {key: each for key, each in all_.items() if each[1] > self._clock.now()}
            answer = change(live)
            new.write_bytes(encode(live))
            new.replace(self._path)
        return answer
