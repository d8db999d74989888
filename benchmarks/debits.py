"""Debits in a ledger of its own, for a while; prints what it has counted.

    python -m benchmarks.debits BATCH ACCOUNTS COMMANDS TASKS SECONDS

BATCH is how many commands are committed together at most. COMMANDS is 2 where a debit is reserved
and then settled, each answered from the disk, and 1 where one command does both. Ids are made, and
the garbage collector is set, as by `lbproto serve`. The file is in a folder that is made in the
current one, for the disk to be a disk.
"""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time, time

import anyio

from lbproto.ids import ordered_id
from lbproto.ledger.account import Account, Change, Movement, Outcome, Receipt, State
from lbproto.ledger.commands import grant, reserve, settle
from lbproto.ledger.sqlite import SQLiteLedger

NOW = 1_768_910_400_000
_MANY = 10**12


def at_once(name: str, amount: int) -> Change[Movement | None]:
    """A debit as one command: reserved and settled."""
    first, then = reserve(name, amount, "buy", NOW, NOW + 60_000), settle(name, amount, NOW)

    def change(state: State, known: Receipt | None) -> Outcome[Movement | None]:
        held = first(state, known)
        spent = then(held.state, None)
        return Outcome(spent.state, spent.movements, spent.receipts, spent.answer)

    return change


async def spend(
    path: Path, batch: int, accounts: int, commands: int, tasks: int, seconds: float
) -> dict[str, float]:
    """Have tasks spend, each as fast as it is answered."""
    taken: list[float] = []
    users = [Account(f"user-{number}") for number in range(accounts)]

    async def work(ledger: SQLiteLedger, task: int, end: float) -> None:
        account = users[task % accounts]
        while (begin := perf_counter()) < end:
            name = ordered_id(int(time() * 1000))
            if commands == 1:
                await ledger.transact(account, name, at_once(name, 1))
            else:
                await ledger.transact(account, name, reserve(name, 1, "buy", NOW, NOW + 60_000))
                await ledger.transact(account, name, settle(name, 1, NOW))
            taken.append(perf_counter() - begin)

    async with SQLiteLedger(path, batch=batch) as ledger:
        for account in users:
            await ledger.transact(account, "all", grant("all", _MANY, "gift", NOW))
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 20)
        begin, used = perf_counter(), process_time()
        async with anyio.create_task_group() as group:
            for task in range(tasks):
                group.start_soon(work, ledger, task, begin + seconds)
        used, lasted = process_time() - used, perf_counter() - begin
    taken.sort()
    half, most = taken[len(taken) // 2], taken[len(taken) * 99 // 100]
    return {"debits": len(taken), "seconds": lasted, "cpu": used, "p50": half, "p99": most}


def main(batch: int, accounts: int, commands: int, tasks: int, seconds: float) -> None:
    """Run it."""
    with TemporaryDirectory(prefix="debits-", dir=Path.cwd()) as folder:
        path = Path(folder) / "credits.db"
        found = anyio.run(
            spend,
            path,
            batch,
            accounts,
            commands,
            tasks,
            seconds,
            backend_options={"use_uvloop": True},
        )
    print(json.dumps(found))


if __name__ == "__main__":
    numbers = list(map(int, sys.argv[1:5]))
    main(numbers[0], numbers[1], numbers[2], numbers[3], float(sys.argv[5]))
