"""A host of your own that is watched, logs for programs, and keeps what led to a failure.

uvicorn operations:app --app-dir examples
"""

import os
from pathlib import Path

from lbproto import Context, Event, Plugin, Server, StaticTokens
from lbproto.asgi import Probes
from lbproto.logging import configure, in_request
from lbproto.recorder import Recorder


class Divide(Event):
    by: int


class Quotient(Event):
    value: float


plugin = Plugin("dividing")


@plugin.on(Divide)
async def divide(ctx: Context, request: Divide) -> Quotient:
    return Quotient(value=12 / request.by)  # by 0: an INTERNAL, with an incident id


configure("json", "warning")
server = Server(
    [plugin],
    auth=StaticTokens({"secret": "alice"}),
    middleware=[in_request],  # what handlers log says whose request it is
)
app = server.asgi(probes=Probes(live="/healthz", ready="/readyz", ignore=["storage"]))

# By the id that a client is told, its last frames are in incident-<id>.jsonl, for `lbproto replay`.
recorder = Recorder(
    server, max_frames=100, directory=Path(os.environ.get("INCIDENTS", "incidents"))
)
recorder.start()
