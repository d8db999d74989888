"""What all tests share: those of the core and those of the plugins."""

import gc
import signal
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# How long a machine takes is not a property of the code: examples have no deadline.
settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")

pytest_plugins = ["lbproto.testing.fixtures"]

# In the background of a shell a process ignores SIGINT, and so would the commands that tests start
# and interrupt: they inherit it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Thousands of tests stay to the end: the garbage collector need not look at them again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


# Several processes (`pytest -n 2`): the tests of a file share servers, so they stay together. Those
# with crowds of clients, and with clients that measure, stay together in one process: two of them
# at a time would be each other's busy machine. Those of releases share what they build.
_TOGETHER = {
    "tests/e2e/": "crowds",
    "tests/load/": "crowds",
    "tests/benchmarks/": "crowds",
    "tests/release/": "releases",
}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Say which tests stay together."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):  # type: ignore[misc] # it ships no types
        def _split_scope(self, nodeid: str) -> str:
            found = (group for folder, group in _TOGETHER.items() if nodeid.startswith(folder))
            return next(found, None) or str(super()._split_scope(nodeid))

    return Scheduling(config, log)
