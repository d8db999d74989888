"""A client: it watches a room, or has a job done.

lbproto serve ticker:server    python client.py watch
lbproto serve primes:server    python client.py count
"""

import sys

import anyio
from primes import STAGES, CountPrimes, CountPrimesCompleted, CountPrimesProgress
from ticker import Tick

from lbproto import Client, Disconnected, RequestError, conflate
from lbproto.messages import Recovered, SessionLost

URL = "ws://localhost:8091"
TOKEN = "secret"  # noqa: S105 - that of the examples


async def watch(url: str) -> None:
    newest = conflate(lambda event: event.symbol if isinstance(event, Tick) else None)
    async with Client(url, token=TOKEN) as client:
        events = client.listen(Tick, Recovered, SessionLost, overflow=newest)
        await client.subscribe("ticks:ACME")
        async for event in events:  # goes on when the server has been restarted
            match event:
                case Tick():
                    print(event.symbol, event.price, flush=True)
                case Recovered():
                    print(f"back, with {event.missed} events that were missed", flush=True)
                case SessionLost():
                    print("back in a new session: ticks may be missing", flush=True)


async def count(url: str, below: int = 50_000) -> int:
    async with (
        Client(url, token=TOKEN, jobs={CountPrimes: STAGES}) as client,
        client.job(CountPrimes(below=below)) as job,  # leaving early cancels it
    ):
        async for stage in job:
            match stage:
                case CountPrimesProgress():
                    print(f"{stage.pct:.0f} %")
                case CountPrimesCompleted():
                    print(f"{stage.primes} primes below {below}")
                    return stage.primes
    raise AssertionError("a job ends by its success, or by raising its failure")


if __name__ == "__main__":
    try:
        if sys.argv[1:] == ["watch"]:
            anyio.run(watch, URL)  # or on trio: backend="trio"
        else:
            anyio.run(count, URL)
    except (RequestError, Disconnected) as error:
        sys.exit(str(error))
