"""Limits in a Valkey whose clock stands still until a test moves it."""

from __future__ import annotations

from time import time

import pytest
from redis import Redis

from lbproto.backends import redis_limits

__all__ = ["StoppedClock"]

_DAY = 86_400


class StoppedClock:
    """What the script takes for the server's `TIME`, which it is but for that.

    It begins a day from now: keys expire by the clock of the machine, hence never in a test.
    """

    def __init__(self, url: str, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self._client = Redis.from_url(url)
        self._key = f"{prefix}-clock"
        self.micros = (int(time()) + _DAY) * 1_000_000 + 999_999
        self.move(0)
        asks = "redis.call('TIME')"
        script = redis_limits._SCRIPT
        assert script.count(asks) == 1
        script = script.replace(asks, f"redis.call('LRANGE', '{self._key}', 0, 1)")
        monkeypatch.setattr(redis_limits, "_SCRIPT", script)
        monkeypatch.setattr(redis_limits, "_SHA", self._client.script_load(script))

    def move(self, micros: int) -> None:
        self.micros += micros
        with self._client.pipeline() as pipeline:
            pipeline.delete(self._key)
            pipeline.rpush(self._key, *divmod(self.micros, 1_000_000))
            pipeline.execute()

    def close(self) -> None:
        self._client.close()
