"""Valkey as `pytest --lbproto-backend` takes it, with a clock that tests move."""

from __future__ import annotations

import pytest
from redis import Redis

from lbproto.backends.base import LimitStore, PubSub, Storage
from lbproto.backends.redis_limits import RedisLimits
from lbproto.backends.redis_pubsub import RedisPubSub
from lbproto.backends.redis_storage import RedisStorage
from lbproto.ledger.redis import RedisLedger
from lbproto.ledger.store import LedgerStore
from lbproto.testing.backends import Backend, Trial
from tests.backends.redis_limiting import PATIENCE
from tests.backends.stopped import StoppedClock


class Valkey(Backend):
    resolution = 1_000

    def __init__(self, trial: Trial) -> None:
        super().__init__(trial)
        self._patches = pytest.MonkeyPatch()
        self._clock = StoppedClock(trial.url, trial.name, self._patches)

    def storage(self) -> Storage:
        return RedisStorage(self.trial.url, prefix=self.trial.name, timeout=PATIENCE)

    def pubsub(self) -> PubSub:
        return RedisPubSub(self.trial.url, prefix=self.trial.name, timeout=PATIENCE)

    def limits(self) -> LimitStore:
        return RedisLimits(self.trial.url, prefix=self.trial.name, timeout=PATIENCE)

    def ledger(self, name: str) -> LedgerStore:
        prefix = f"{self.trial.name}:{name}"
        return RedisLedger(self.trial.url, prefix=prefix, timeout=PATIENCE)

    async def pass_time(self, seconds: float) -> None:
        """What is there gets older, so that nobody has to wait."""
        self._clock.move(round(seconds * 1_000_000))
        older = round(seconds * 1_000)
        with Redis.from_url(self.trial.url) as client:
            for key in client.keys(f"{self.trial.name}:*"):
                if client.type(key) == b"zset":
                    for name in client.zrange(key, 0, -1):
                        client.zincrby(key, -older, name)
                if (left := client.pttl(key)) > 0:
                    client.pexpire(key, left - older)

    def close(self) -> None:
        self._clock.close()
        self._patches.undo()
