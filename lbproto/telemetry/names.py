"""Names and attributes of spans and metrics.

Names of OpenTelemetry's semantic conventions (1.41) where there are such: `rpc.*`, `messaging.*`,
`user.hash`, `error.type`. The others begin with `lbproto.`.
"""

from __future__ import annotations

from collections.abc import Container

__all__ = [
    "DESTINATION",
    "EVENT",
    "HANDLER_SECONDS",
    "JOB",
    "MATCHED",
    "MESSAGING_OPERATION",
    "MESSAGING_OPERATION_TYPE",
    "MESSAGING_SYSTEM",
    "METHOD",
    "MOVED",
    "OK",
    "OTHER",
    "POLICY",
    "QUEUE",
    "QUEUE_SECONDS",
    "REASON",
    "RECOVERY",
    "SCOPE",
    "STATE",
    "STATUS",
    "SYSTEM",
    "SYSTEM_NAME",
    "TYPE",
    "USER",
    "bounded",
]

SCOPE = "lbproto"
"""The instrumentation scope."""

SYSTEM_NAME = "lbproto"
"""The value of `rpc.system.name` and `messaging.system`."""

OTHER = "_OTHER"
"""What stands for every event that no plugin declares, as the conventions want it."""

OK = "OK"
"""The status of a request that did not fail."""

# Of the conventions.
SYSTEM = "rpc.system.name"
METHOD = "rpc.method"
STATUS = "rpc.response.status_code"
TYPE = "error.type"
USER = "user.hash"
MESSAGING_SYSTEM = "messaging.system"
MESSAGING_OPERATION = "messaging.operation.name"
MESSAGING_OPERATION_TYPE = "messaging.operation.type"
DESTINATION = "messaging.destination.template"

# Our own.
EVENT = "lbproto.event"
QUEUE_SECONDS = "lbproto.queue.duration"
HANDLER_SECONDS = "lbproto.handler.duration"
JOB = "lbproto.job.id"
MATCHED = "lbproto.delivery.sessions"
STATE = "lbproto.session.state"
REASON = "lbproto.reason"
POLICY = "lbproto.overflow.policy"
QUEUE = "lbproto.queue"
RECOVERY = "lbproto.recovery.outcome"
MOVED = "lbproto.credits.direction"


def bounded(name: str, known: Container[str]) -> str:
    """A name as an attribute has it: there are no more of them than the plugins declare."""
    return name if name in known else OTHER
