"""Jobs as their client follows them: to their one end, through every loss of a connection."""

from __future__ import annotations

import anyio
import pytest

from lbproto import (
    Cancelled,
    Disconnected,
    Event,
    InvalidRequest,
    Overloaded,
    Stages,
    UsageError,
)
from lbproto.client import Bounds, Client, Following, TooSlow, Wire
from lbproto.messages import Attach, Attached, SessionLost
from tests.client.kit import (
    TWO_WIRES,
    WIRES,
    Dig,
    DigCompleted,
    DigError,
    DigProgress,
    DigResponse,
    DigStarted,
    Double,
    Doubled,
    Proxy,
    Site,
    connected,
    running,
    served,
    server_of,
    until,
)

pytestmark = pytest.mark.anyio

wires = pytest.mark.parametrize("wire", TWO_WIRES)


async def numbers(job: Following[Dig]) -> list[int]:
    """What comes of a job, to its end."""
    return [stage.number async for stage in job if isinstance(stage, DigResponse)]


@pytest.mark.parametrize("wire", WIRES)
async def test_it_tells_its_stages_and_ends(wire: Wire) -> None:
    site = Site()
    async with served(site.plugin()) as url, connected(url, wire=wire) as client:
        async with client.job(Dig(depth=3)) as job:
            stages = [stage async for stage in job]
            assert {getattr(stage, "job_id") for stage in stages} == {job.id}  # noqa: B009
        kinds = [type(stage) for stage in stages if not isinstance(stage, DigProgress)]
        assert kinds == [DigStarted, *[DigResponse] * 3, DigCompleted]
        assert job.outcome is stages[-1]
        assert [stage.number for stage in stages if isinstance(stage, DigResponse)] == [0, 1, 2]
        async with client.job(Dig(depth=0)) as job:
            assert isinstance(await job.result(), DigCompleted)


@wires
async def test_several_are_told_apart(wire: Wire) -> None:
    async with served(Site().plugin()) as url, connected(url, wire=wire) as client:
        found: dict[int, list[int]] = {}

        async def dig(depth: int) -> None:
            async with client.job(Dig(depth=depth)) as job:
                found[depth] = await numbers(job)

        async with anyio.create_task_group() as tasks:
            for depth in range(1, 9):
                tasks.start_soon(dig, depth)
        assert found == {depth: list(range(depth)) for depth in range(1, 9)}


@wires
async def test_a_cancelled_one_fails(wire: Wire) -> None:
    site = Site()
    site.hold()
    async with served(site.plugin()) as url, connected(url, wire=wire) as client:
        async with client.job(Dig()) as job:
            assert isinstance(await anext(job), DigStarted)
            await job.cancel()
            with pytest.raises(Cancelled, match="was cancelled"):
                await numbers(job)
            with pytest.raises(Cancelled):
                await job.result()
        assert job.ended
        assert site.ended == [job.id]


@wires
async def test_who_leaves_before_the_end_cancels_it(wire: Wire) -> None:
    site = Site()
    site.hold()
    async with served(site.plugin()) as url, connected(url, wire=wire) as client:
        async with client.job(Dig()) as job:
            await anext(job)
        await until(lambda: site.ended == [job.id])


async def test_one_that_is_given_up_before_it_has_begun_is_cancelled() -> None:
    site = Site()
    site.hold()
    site.hold_jobs()

    async def follow(client: Client) -> None:
        async with client.job(Dig()):
            raise AssertionError("it has not begun")

    async with served(site.plugin()) as url, connected(url) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(follow, client)
            await until(lambda: len(site.jobs) == 1)
            tasks.cancel_scope.cancel()
        site.beginning.set()
        await until(lambda: len(site.ended) == 1)


async def test_one_that_is_refused_does_not_begin() -> None:
    async with served(Site().plugin()) as url, connected(url) as client:
        with pytest.raises(InvalidRequest, match="nobody digs that deep"):
            async with client.job(Dig(depth=-1)):
                raise AssertionError("it has begun")


async def test_the_same_one_is_followed_once() -> None:
    site = Site()
    site.hold()
    same = Dig(request_id="mine")
    async with served(site.plugin()) as url, connected(url) as client, client.job(same) as job:
        assert isinstance(await anext(job), DigStarted)
        async with client.job(same) as again:
            with pytest.raises(UsageError, match="follows that job already"):
                await anext(again)
        assert len(site.jobs) == 1


async def test_what_is_no_job_is_a_mistake() -> None:
    class Odd(Event):
        pass

    async with served(Site().plugin()) as url, connected(url) as client:
        with pytest.raises(UsageError, match="is not a job that this client knows"):
            async with client.job(Odd()):
                pass
    with pytest.raises(UsageError, match=r"the success of .*Odd is told by no event"):
        Client(url, jobs={Odd: Stages(failure=DigError)})
    with pytest.raises(UsageError, match=r"DigStarted has no 'dig_id' .* cannot follow .*Odd"):
        Client(
            url, jobs={Odd: Stages(start=DigStarted, success=Odd, failure=DigError, id="dig_id")}
        )


@wires
async def test_it_goes_on_when_the_connection_is_lost(wire: Wire) -> None:
    site = Site()
    site.hold()
    async with (
        served(site.plugin()) as url,
        Proxy.before(url) as proxy,
        connected(proxy.url, wire=wire) as client,
        client.job(Dig(depth=50)) as job,
    ):
        assert isinstance(await anext(job), DigStarted)
        proxy.cut()
        site.held.set()
        assert await numbers(job) == list(range(50))
        assert len(site.jobs) == 1


@wires
async def test_one_that_has_not_answered_is_asked_for_again_and_begins_once(wire: Wire) -> None:
    site = Site()
    site.hold_jobs()
    async with (
        served(site.plugin()) as url,
        Proxy.before(url) as proxy,
        connected(proxy.url, wire=wire) as client,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(proxy.cut_when, lambda: bool(site.jobs), site.beginning.set)
        async with client.job(Dig(depth=5)) as job:
            assert await numbers(job) == list(range(5))
        assert len(site.jobs) == 1


@wires
async def test_it_is_taken_up_when_the_session_is_lost(wire: Wire) -> None:
    """Another session of the user follows the job, else it would end with the first."""
    site = Site()
    site.hold()
    server = served(site.plugin(), recovery=None)
    async with (
        server as url,
        Proxy.before(url) as proxy,
        connected(proxy.url, wire=wire) as client,
        connected(url) as other,
        client.job(Dig(depth=50)) as job,
    ):
        heard = client.listen(SessionLost)
        assert isinstance(await anext(job), DigStarted)
        await other.request(Attach(id=job.id), Attached)
        proxy.cut()
        assert await anext(heard) == SessionLost()
        site.held.set()
        assert await numbers(job) == list(range(50))
        assert len(site.jobs) == 1


async def test_one_that_was_lost_with_its_session_is_told() -> None:
    site = Site()
    site.hold()
    server = served(site.plugin(), recovery=None)
    async with (
        server as url,
        Proxy.before(url) as proxy,
        connected(proxy.url) as client,
        client.job(Dig()) as job,
    ):
        assert isinstance(await anext(job), DigStarted)
        proxy.cut()
        with pytest.raises(Disconnected, match="the job was lost with its session: No job of"):
            await numbers(job)


async def test_what_is_not_kept_any_more_is_told() -> None:
    site = Site()
    server = served(site.plugin(), recovery=None)
    site.hold()
    async with (
        server as url,
        Proxy.before(url) as proxy,
        connected(proxy.url) as client,
        connected(url) as other,
        client.job(Dig(depth=10_000, size=100_000)) as job,
    ):
        assert isinstance(await anext(job), DigStarted)
        await other.request(Attach(id=job.id), Attached)
        proxy.accepting = False
        proxy.cut()
        site.held.set()
        await until(lambda: site.step > 30)
        proxy.accepting = True
        with pytest.raises(Disconnected, match=r"\d+ events of the job were lost with its session"):
            await numbers(job)


@wires
async def test_a_follower_who_reads_slowly_has_the_job_wait(wire: Wire) -> None:
    site = Site()
    few = Bounds(max_waiting=3, max_waiting_bytes=100_000)
    async with (
        served(site.plugin()) as url,
        connected(url, wire=wire, bounds=few) as client,
        client.job(Dig(depth=100, size=50_000)) as job,
    ):
        await anext(job)
        await anyio.sleep(0.3)
        assert site.step < 100
        assert await numbers(job) == list(range(100))


async def test_one_that_is_not_read_while_others_are_answered_ends() -> None:
    site = Site()
    few = Bounds(max_waiting=3)
    async with served(site.plugin()) as url, connected(url, bounds=few) as client:
        async with client.job(Dig(depth=300)) as job:
            await anext(job)
            assert await client.request(Double(number=2), Doubled) == Doubled(number=4)
            with pytest.raises(TooSlow):
                await numbers(job)
        await until(lambda: site.ended == [job.id])


async def test_a_server_that_stops_ends_it() -> None:
    site = Site()
    site.hold()
    server = server_of(site.plugin())
    async with running(server) as url, connected(url) as client, client.job(Dig()) as job:
        assert isinstance(await anext(job), DigStarted)
        await server.drain(0.05)
        with pytest.raises(Overloaded, match="is being restarted"):
            await numbers(job)
