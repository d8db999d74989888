"""lbproto: declare typed events, get a validated, resumable real-time protocol server.

Everything a host or a plugin needs is here; `lbproto.wire` is the level below, `lbproto.asgi` the
edge, `lbproto.backends` the ports to storage and to other nodes.
"""

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
    KeySource,
    StaticTokens,
    granted_applications,
)
from lbproto.client import Client, Disconnected, Reconnect
from lbproto.clock import Clock, SystemClock, iso_timestamp
from lbproto.context import Context, Target
from lbproto.credits.accounts import Credits
from lbproto.delivery.hub import Receipt
from lbproto.emitter import Emitter, Recipients
from lbproto.encoded import Encoded
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
from lbproto.events import ErrorEvent, Event, Model, Secret
from lbproto.jobs.job import Job
from lbproto.jobs.stages import Stages
from lbproto.ledger.account import Balance, Movement
from lbproto.ledger.store import LedgerStore
from lbproto.limits.throttle import Limits
from lbproto.limits.windows import PUBLISHED_TIERS, Tier, Window
from lbproto.messages import (
    CreditBalanceUpdated,
    CreditsDeducted,
    CreditsGranted,
    CreditsInsufficient,
)
from lbproto.middleware import Endpoint, Middleware
from lbproto.moderation import RoomMember
from lbproto.operations.health import Check, Health
from lbproto.operations.statistics import (
    OutboxStatistics,
    PubSubStatistics,
    RoomStatistics,
    ServerStatistics,
    SessionStatistics,
)
from lbproto.overflow import OverflowPolicy, conflate, disconnect, drop_oldest
from lbproto.plugin import Plugin
from lbproto.server import Server
from lbproto.sessions.admission import Admission
from lbproto.sessions.recovery import Recovery
from lbproto.sessions.session import Session
from lbproto.spans import Duration, Span, span_bounds
from lbproto.traces import Trace
from lbproto.wire.settings import Settings

__all__ = [
    "JWKS",
    "JWT",
    "PEM",
    "PUBLISHED_TIERS",
    "APIKey",
    "APIKeys",
    "Admission",
    "Authenticator",
    "Authorize",
    "Balance",
    "Cancelled",
    "Check",
    "Clerk",
    "Client",
    "Clock",
    "Context",
    "CreditBalanceUpdated",
    "Credits",
    "CreditsDeducted",
    "CreditsGranted",
    "CreditsInsufficient",
    "Disconnected",
    "Duration",
    "Emitter",
    "Encoded",
    "Endpoint",
    "ErrorCode",
    "ErrorEvent",
    "Event",
    "Health",
    "Identity",
    "InsufficientCredits",
    "Internal",
    "InvalidRequest",
    "Job",
    "KeySource",
    "LedgerStore",
    "LimitExceeded",
    "Limits",
    "Middleware",
    "Model",
    "Movement",
    "NotFound",
    "OutboxStatistics",
    "OverflowPolicy",
    "Overloaded",
    "Plugin",
    "PubSubStatistics",
    "RateLimited",
    "Receipt",
    "Recipients",
    "Reconnect",
    "Recovery",
    "RequestError",
    "RequestTimeout",
    "RoomMember",
    "RoomStatistics",
    "Secret",
    "Server",
    "ServerStatistics",
    "Session",
    "SessionStatistics",
    "Settings",
    "Span",
    "Stages",
    "StaticTokens",
    "SystemClock",
    "Target",
    "Tier",
    "Trace",
    "Unauthorized",
    "UsageError",
    "Window",
    "conflate",
    "disconnect",
    "drop_oldest",
    "granted_applications",
    "iso_timestamp",
    "span_bounds",
]
