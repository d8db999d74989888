"""What all tests share: those of the core and those of the plugins."""

import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How long a machine takes is no property of the code: examples have no deadline.
settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")

pytest_plugins = ["lbproto.testing.fixtures"]

# In the background of a shell a process ignores SIGINT, and so would the commands that tests start
# and interrupt: they inherit it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# Several processes (`pytest -n 2`): the tests of a file share servers, so they stay together. Those
# with crowds of clients, and with clients that measure, stay together in one process: two of them
# at a time would be each other's busy machine.
_CROWDS = [Path(__file__).parent / "tests" / name for name in ("e2e", "load", "benchmarks")]


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups in the same hook
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Say which tests stay together."""
    if config.pluginmanager.hasplugin("xdist"):
        for item in items:
            crowded = any(item.path.is_relative_to(folder) for folder in _CROWDS)
            group = "crowds" if crowded else str(item.path)
            item.add_marker(pytest.mark.xdist_group(group))
