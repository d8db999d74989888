"""What a client has under way when its node is killed: all of it settles, and is done once.

What the node has answered is on its way by then, and held there.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

from lbproto import Client, Disconnected, Reconnect, RequestError
from lbproto.client import Following, Wire
from lbproto.contract import describe, typescript
from lbproto.messages import AnswersLost, Attach, Attached, Recovered, SessionLost, Subscribed
from tests.contract.compiling import compile_in
from tests.e2e.clients import SECONDS
from tests.e2e.dying import JOBS, Board, Count, Counted, Finish, Work, WorkDone, WorkStarted, server
from tests.e2e.node import NODE, NodeClient, need_node
from tests.e2e.pairs import Pair, serving_two
from tests.e2e.storming import BROKER
from tests.e2e.switch import Switch
from tests.ledger.servers import Valkey

pytestmark = pytest.mark.anyio

HASTY = Reconnect(first=0.05, most=0.2)


@pytest.fixture
def nodes(valkey: Valkey) -> Iterator[Pair]:
    with serving_two("tests.e2e.dying:app", BROKER, valkey.url) as both:
        yield both


def client_of(url: str, user: str, wire: Wire = "plain-json") -> Client:
    return Client(url, token=user, jobs=JOBS, wire=wire, reconnect=HASTY)


async def serve_unheard(nodes: Pair, user: str, id_: str) -> None:
    """See that a request is served, and a job has ended, whose client does not hear of it."""
    one, two = nodes
    async with client_of(one.ws, user) as there, client_of(two.ws, user) as elsewhere:
        done = there.listen(WorkDone)
        await there.request(Attach(id=id_), Attached)
        await there.request(Finish(id=id_))
        assert (await anext(done)).job_id == id_
        again = Count(name=user, request_id=user)
        assert await elsewhere.request(again, Counted) == Counted(times=1)


@pytest.mark.parametrize("wire", ["plain-json", "socketio-msgpack"])
async def test_a_client_asks_again_for_all_that_it_has_under_way(nodes: Pair, wire: Wire) -> None:
    one, two = nodes
    user = f"ada-{wire}"  # what was counted before is still in the storage
    counted: list[int] = []
    failed: list[Exception] = []

    async def count(client: Client) -> None:
        request = Count(name=user, request_id=user)
        counted.append((await client.request(request, Counted, repeat=True)).times)

    async def follow(job: Following[Work]) -> None:
        try:
            await job.result()
        except (Disconnected, RequestError) as error:
            failed.append(error)

    async def subscribe(client: Client) -> None:
        with pytest.raises(Disconnected):
            await client.subscribe("desk:b")

    with Switch.to(one.port) as switch, anyio.fail_after(SECONDS):
        url = f"ws://127.0.0.1:{switch.port}"
        async with client_of(url, user, wire) as client:
            heard = client.listen(Subscribed, Board, AnswersLost, Recovered, SessionLost)
            await client.subscribe("desk:a")
            async with client.job(Work()) as going_on, client.job(Work()) as done:
                for job in (going_on, done):
                    assert isinstance(await anext(job), WorkStarted)
                switch.hold()
                async with anyio.create_task_group() as tasks:
                    for job in (going_on, done):
                        tasks.start_soon(follow, job)
                    tasks.start_soon(count, client)
                    tasks.start_soon(subscribe, client)
                    await serve_unheard(nodes, user, done.id)
                    await to_thread.run_sync(one.kill)
                    switch.move(two.port)
            told = [type(await anext(heard)) for _ in range(6)]
            joined = [Subscribed, Board]
            assert told == [*joined, AnswersLost, Recovered, *joined]
    assert counted == [1]
    assert len(failed) == 2


@pytest.fixture
def program(tmp_path: Path) -> str:
    """That of dying.ts, with the module that `lbproto schema` writes for its server."""
    need_node()
    (tmp_path / "lbproto.ts").write_text(typescript(describe(server)))
    shutil.copy(NODE / "dying.ts", tmp_path)
    assert compile_in(tmp_path, "dying.ts") == ""
    return str(tmp_path / "dying.js")


async def test_jobs_of_a_client_in_typescript_settle(nodes: Pair, program: str) -> None:
    one, two = nodes
    with (
        Switch.to(one.port) as switch,
        NodeClient.running(program, f"http://127.0.0.1:{switch.port}") as client,
    ):
        done = client.until(step="begun")["done"]
        switch.hold()
        client.command()  # any line has it go on
        await serve_unheard(nodes, "eve", done)
        one.kill()
        switch.move(two.port)
        assert client.until(step="answers lost")["recovered"] is True
        over = client.until(step="over")
    assert over["times"] == 1
    # Whether a job's death is known by then is a matter of its node's lease.
    assert [end in ("NOT_FOUND", "OVERLOADED") for end in over["ends"]] == [True, True]
