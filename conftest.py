"""What all tests share: those of the core and those of the plugins."""

import signal

from hypothesis import HealthCheck, settings

# How long a machine takes is no property of the code: examples have no deadline.
settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")

pytest_plugins = ["lbproto.testing.fixtures"]

# In the background of a shell a process ignores SIGINT, and so would the commands that tests start
# and interrupt: they inherit it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
