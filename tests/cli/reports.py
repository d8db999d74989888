"""A server of jobs, whose events have names of all kinds."""

from __future__ import annotations

import anyio

from lbproto import Context, ErrorEvent, Event, Job, NotFound, Plugin, Server, Stages, StaticTokens


class MakeReport(Event):
    way: str
    batch: str = ""


class ReportStarted(Event):
    job_id: str


class PageOne(Event):
    job_id: str
    customer_id: str


class ReportIsReady(Event):
    job_id: str


class ReportWentWrong(ErrorEvent):
    job_id: str


class Silently(MakeReport):
    pass


class Keyed(MakeReport):
    pass


class KeyedStarted(Event):
    key: str


class KeyedIsReady(Event):
    key: str


class KeyedWentWrong(ErrorEvent):
    key: str


class Grouped(MakeReport):
    pass


class BatchStarted(Event):
    batch: str


class BatchWentWrong(ErrorEvent):
    batch: str


class StartTimer(Event):
    name: str = ""


class TimerStarted(Event):
    name: str
    timer_id: str


class MakeDraft(MakeReport):
    pass


class DraftBegan(Event):
    account_id: str
    job_id: str


plugin = Plugin("reports")
stages = Stages(start=ReportStarted, output=PageOne, success=ReportIsReady, failure=ReportWentWrong)
silent = Stages(output=PageOne, failure=ReportWentWrong)
keyed = Stages(start=KeyedStarted, success=KeyedIsReady, failure=KeyedWentWrong, id="key")
grouped = Stages(start=BatchStarted, failure=BatchWentWrong, group="batch")
drafted = Stages(start=DraftBegan, success=ReportIsReady, failure=ReportWentWrong)


async def go(way: str) -> None:
    if way == "long":
        await anyio.sleep_forever()
    if way == "slowly":
        await anyio.sleep(0.3)  # it is silent for longer than the tests wait until they ask
    if way == "fails":
        raise NotFound("there are no pages")


@plugin.job(MakeReport, stages=stages)
async def make_report(job: Job[MakeReport]) -> ReportIsReady:
    await job.send(PageOne(job_id=job.id, customer_id="c-1"))
    await go(job.request.way)
    return ReportIsReady(job_id=job.id)


@plugin.job(Silently, stages=silent)
async def silently(job: Job[Silently]) -> None:
    await job.send(PageOne(job_id=job.id, customer_id="c-1"))


@plugin.job(Keyed, stages=keyed)
async def make_keyed(job: Job[Keyed]) -> KeyedIsReady:
    await go(job.request.way)
    return KeyedIsReady(key=job.id)


@plugin.job(Grouped, stages=grouped)
async def make_grouped(job: Job[Grouped]) -> None:
    await go(job.request.way)


@plugin.job(MakeDraft, stages=drafted)
async def make_draft(job: Job[MakeDraft]) -> ReportIsReady:
    job.start(DraftBegan(account_id="a-1", job_id=job.id))
    await go(job.request.way)
    return ReportIsReady(job_id=job.id)


@plugin.on(StartTimer)
async def start_timer(ctx: Context, request: StartTimer) -> TimerStarted:
    return TimerStarted(name=request.name, timer_id="t-1")


server = Server(plugins=[plugin], auth=StaticTokens({"secret": "alice"}))
