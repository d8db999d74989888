"""A job: counts primes, tells how far it is, and may be cancelled.

lbproto serve primes:server
"""

from anyio.lowlevel import checkpoint

from lbproto import ErrorEvent, Event, Job, Plugin, Server, Stages, StaticTokens


class CountPrimes(Event):
    below: int


class CountPrimesStarted(Event):
    job_id: str


class CountPrimesProgress(Event):
    job_id: str
    pct: float


class CountPrimesCompleted(Event):
    job_id: str
    duration_ms: int
    primes: int


class CountPrimesError(ErrorEvent):
    job_id: str


plugin = Plugin("primes")
STAGES = Stages(
    start=CountPrimesStarted,
    progress=CountPrimesProgress,
    success=CountPrimesCompleted,
    failure=CountPrimesError,
)


@plugin.job(CountPrimes, stages=STAGES, timeout=60)
async def count(job: Job[CountPrimes]) -> CountPrimesCompleted:
    below, found = job.request.below, 0
    for number in range(2, below):
        found += all(number % divisor for divisor in range(2, int(number**0.5) + 1))
        if number % 1_000 == 0:
            job.progress(CountPrimesProgress(job_id=job.id, pct=100 * number / below))
            await checkpoint()  # others get their turn, and a cancellation comes through
    return CountPrimesCompleted(job_id=job.id, duration_ms=job.duration_ms, primes=found)


server = Server([plugin], auth=StaticTokens({"secret": "alice"}))
