"""The second fuzzer runs, and would tell; ten minutes of it are for a person to start."""

from __future__ import annotations

from functools import partial

import anyio
import pytest

from lbproto.connection.engineio import EngineConnection
from tests.fuzz.fuzz_connections import Failure, fuzz


@pytest.mark.parametrize(("backend", "executions"), [("asyncio", 1_000), ("trio", 500)])
def test_a_few_executions_are_clean(backend: str, executions: int) -> None:
    done = anyio.run(partial(fuzz, 7, executions=executions), backend=backend)
    assert done.total() == executions
    assert len(done) == 12  # every decoder and every kind of connection had its turn


def test_what_it_finds_can_be_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(connection: EngineConnection, reason: str) -> None:
        connection._heartbeat.cancel()
        connection._above.closed(reason)  # ... but the runtime still has the session

    monkeypatch.setattr(EngineConnection, "_lost", forgetful)
    with pytest.raises(Failure, match=r"--seed 7 --only \d+ \(storm\)") as found:
        anyio.run(partial(fuzz, 7, executions=1_000))
    only = int(str(found.value).split()[3])
    with pytest.raises(Failure, match=rf"--seed 7 --only {only} \(storm\)"):
        anyio.run(partial(fuzz, 7, only=only))
