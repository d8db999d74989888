"""Redis by TLS, and as a user with the rights that the how-to gives: no more are needed."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path

import pytest
from anyio import to_thread

from lbproto.backends.redis_limits import RedisLimits
from lbproto.backends.redis_storage import RedisStorage
from lbproto.ledger.account import Account
from lbproto.ledger.commands import grant
from lbproto.ledger.redis import RedisLedger
from tests.backends.redis_kinds import encrypted
from tests.e2e.nodes import BROKER, RECORDS
from tests.e2e.pairs import serving_two
from tests.e2e.ticking import readers
from tests.ledger.servers import Valkey

pytestmark = pytest.mark.anyio

_HOW_TO = Path(__file__).parents[2] / "docs" / "how-to" / "scale-out.md"


@pytest.fixture
def user(valkey: Valkey) -> str:
    """The how-to's, before the server's address."""
    (command,) = re.findall(r"^ACL SETUSER lbproto on .*$", _HOW_TO.read_text(), re.MULTILINE)
    valkey.command(*command.split())
    return "lbproto:secret@"


async def test_two_servers_of_that_user_by_tls(valkey: Valkey, user: str, tmp_path: Path) -> None:
    async with encrypted(valkey, tmp_path) as plain:
        url = plain.replace("//", f"//{user}")
        with pytest.MonkeyPatch.context() as environment, ExitStack() as stack:
            environment.setenv(RECORDS, url)
            serving = serving_two("tests.e2e.nodes:app", BROKER, url)
            nodes = await to_thread.run_sync(stack.enter_context, serving)
            async with readers(nodes) as (one, two):
                for reader in (one, two):
                    await reader.until_ready(ready=True)
                await one.ask("publish", {"publisher": "one", "count": 20})
                await two.until_heard("one", 19)
                assert two.heard["one"] == list(range(20))
            await to_thread.run_sync(stack.close)


async def test_whatever_that_user_keeps(valkey: Valkey, user: str) -> None:
    url = valkey.url.replace("//", f"//{user}")
    async with RedisStorage(url) as storage, RedisLimits(url) as limits, RedisLedger(url) as ledger:
        assert await storage.put_new("in/here", b"1", ttl=60)
        await storage.put("in/there", b"2")
        assert await storage.increment("in/here") == 2
        assert await storage.children("in") == {"here": b"2", "there": b"2"}
        assert await storage.delete("in/here")
        assert (await limits.take("ada", [(10**9, 10**6, 10**9)], 1))[0]
        account = Account("ada")
        outcome = await ledger.transact(account, "first", grant("first", 5, "welcome", 0))
        assert await ledger.movements(account) == [outcome.answer]
        assert await ledger.due(0) == []
