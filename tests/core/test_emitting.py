"""Events from outside of requests: from the host's own code, where the server runs."""

from __future__ import annotations

import pytest
from anyio import from_thread, to_thread

from lbproto import Context, Event, Plugin, UsageError
from lbproto.testing import Serve, connect
from tests.core.harness import make_server

pytestmark = pytest.mark.anyio


class News(Event):
    number: int


def newsroom() -> Plugin:
    plugin = Plugin("news")
    plugin.emits(News)

    @plugin.room("news", announce=False, automatic=True)
    async def news(ctx: Context) -> None: ...

    return plugin


async def test_nothing_is_emitted_by_a_server_that_does_not_run() -> None:
    server = make_server(newsroom())
    targets = [server.to("news"), server.to_user("ada")]
    for _ in range(2):
        for target in targets:
            with pytest.raises(UsageError, match=r"^this lbproto server is not running\. .*pass"):
                target.emit(News(1))
        async with server.lifespan():
            assert [target.emit(News(2)).matched for target in targets] == [0, 0]


async def test_nothing_is_emitted_in_another_thread(serve: Serve) -> None:
    async with serve(newsroom()) as server, connect(server, "ada") as client:
        await client.take()
        emit = server.to("news").emit
        with pytest.raises(
            UsageError, match=r"anyio\.from_thread\.run_sync\(target\.emit, event\)"
        ):
            await to_thread.run_sync(emit, News(1))
        assert await client.take() == []
        receipt = await to_thread.run_sync(from_thread.run_sync, emit, News(2))
        assert receipt.queued == 1
        assert await client.take() == [News(2)]
