"""Load on a server, and what it makes of it: many clients in one thread.

Connect them, subscribe, measure::

    from lbproto.load import Crowd, fan_out, socketio

    dialect = socketio("demo-bench", event="candle", publish="bench_publish")
    with Crowd("ws://localhost:8095", dialect, 1000) as crowd:
        crowd.connect()
        crowd.subscribe("bench:r0")
        print(fan_out(crowd).per_second)

Deliveries are counted, not decoded, so that a server is measured and not the generator; each
client's are, so that no loss goes unnoticed. `lbproto bench` is this as a command.
"""

from lbproto.load.crowd import Crowd
from lbproto.load.dialect import Dialect, plain, socketio
from lbproto.load.errors import LoadError
from lbproto.load.measure import fan_out, idle, listen, paced, requests
from lbproto.load.results import Connected, CrowdStatistics, FanOut, Measured, Progress, Requests
from lbproto.load.usage import ServerProcess, Usage

__all__ = [
    "Connected",
    "Crowd",
    "CrowdStatistics",
    "Dialect",
    "FanOut",
    "LoadError",
    "Measured",
    "Progress",
    "Requests",
    "ServerProcess",
    "Usage",
    "fan_out",
    "idle",
    "listen",
    "paced",
    "plain",
    "requests",
    "socketio",
]
