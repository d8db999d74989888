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


async def count(url: str) -> None:
    async with (
        Client(url, token=TOKEN, jobs={CountPrimes: STAGES}) as client,
        client.job(CountPrimes(below=50_000)) as job,  # leaving early cancels it
    ):
        async for stage in job:  # a failure is raised
            match stage:
                case CountPrimesProgress():
                    print(f"{stage.pct:.0f} %")
                case CountPrimesCompleted():
                    print(stage.primes, "primes")


def main() -> None:
    try:
        anyio.run(watch if sys.argv[1:] == ["watch"] else count, URL)  # or backend="trio"
    except (RequestError, Disconnected) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
