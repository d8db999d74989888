"""lbproto: declare typed events, get a validated, resumable real-time protocol server.

Everything a host or a plugin needs is here; `lbproto.wire` is the level below, `lbproto.asgi` the
edge, `lbproto.backends` the ports to storage and to other nodes.
"""

from lbproto.admission import Admission
from lbproto.auth import (
    JWKS,
    JWT,
    PEM,
    APIKey,
    APIKeys,
    Authenticator,
    Authorize,
    Clerk,
    Identity,
    StaticTokens,
    granted_applications,
)
from lbproto.clock import Clock, SystemClock, iso_timestamp
from lbproto.context import Context, Target
from lbproto.errors import (
    Cancelled,
    ErrorCode,
    InsufficientCredits,
    Internal,
    InvalidRequest,
    LimitExceeded,
    NotFound,
    Overloaded,
    RateLimited,
    RequestError,
    RequestTimeout,
    Unauthorized,
    UsageError,
)
from lbproto.events import ErrorEvent, Event, Model
from lbproto.hub import Receipt
from lbproto.middleware import Endpoint, Middleware
from lbproto.overflow import OverflowPolicy, conflate, disconnect, drop_oldest
from lbproto.plugin import Plugin
from lbproto.recovery import Recovery
from lbproto.server import Server
from lbproto.session import Session
from lbproto.statistics import (
    OutboxStatistics,
    RoomStatistics,
    ServerStatistics,
    SessionStatistics,
)
from lbproto.wire.settings import Settings

__all__ = [
    "JWKS",
    "JWT",
    "PEM",
    "APIKey",
    "APIKeys",
    "Admission",
    "Authenticator",
    "Authorize",
    "Cancelled",
    "Clerk",
    "Clock",
    "Context",
    "Endpoint",
    "ErrorCode",
    "ErrorEvent",
    "Event",
    "Identity",
    "InsufficientCredits",
    "Internal",
    "InvalidRequest",
    "LimitExceeded",
    "Middleware",
    "Model",
    "NotFound",
    "OutboxStatistics",
    "OverflowPolicy",
    "Overloaded",
    "Plugin",
    "RateLimited",
    "Receipt",
    "Recovery",
    "RequestError",
    "RequestTimeout",
    "RoomStatistics",
    "Server",
    "ServerStatistics",
    "Session",
    "SessionStatistics",
    "Settings",
    "StaticTokens",
    "SystemClock",
    "Target",
    "Unauthorized",
    "UsageError",
    "conflate",
    "disconnect",
    "drop_oldest",
    "granted_applications",
    "iso_timestamp",
]
