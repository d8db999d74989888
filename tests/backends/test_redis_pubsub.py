"""Pub/sub over Valkey: conformance, and what is its own."""

from __future__ import annotations

from functools import partial

import pytest

from lbproto.backends.redis_pubsub import RedisPubSub
from lbproto.testing.pubsub import MakePubSub, PubSubSuite
from tests.backends.redis_limiting import PATIENCE
from tests.ledger.servers import Valkey

pytestmark = pytest.mark.anyio


class TestRedisPubSub(PubSubSuite):
    @pytest.fixture
    def make_pubsub(self, valkey: Valkey, prefix: str) -> MakePubSub:
        return partial(RedisPubSub, valkey.url, prefix=prefix, timeout=PATIENCE)
