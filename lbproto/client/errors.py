"""What a client raises: how a connection ends, and refusals made from the contract's envelope."""

from __future__ import annotations

from copy import copy

import msgspec

from lbproto.client.payloads import Payload
from lbproto.errors import BY_CODE, InsufficientCredits, Internal, RequestError
from lbproto.events import ErrorEvent, Event
from lbproto.messages import CreditsInsufficient
from lbproto.transport import CloseCode
from lbproto.wire.settings import ProtocolError

__all__ = ["ABNORMAL", "Disconnected", "TooSlow", "once_more", "refusal", "refusal_in"]

ABNORMAL = 1006
"""The code of a websocket that ended without a close frame."""

_FINAL = frozenset(
    {
        CloseCode.PROTOCOL_ERROR,
        CloseCode.INVALID_DATA,
        CloseCode.POLICY_VIOLATION,
        CloseCode.TOO_BIG,
        CloseCode.UNAUTHORIZED,
        CloseCode.REPLACED,
    }
)
"""Close codes after which to reconnect is useless; see the reference of the wire."""


class Disconnected(ConnectionError):
    """There is no connection, or it was lost; what was asked may or may not have been served.

    Args:
        message: what happened, in a sentence.
        code: the WebSocket close code; 1006 where there was none.
        retryable: whether coming back can help; by default what the code says.
        retry_after: seconds to wait before that, as the server says; None where it does not.
    """

    def __init__(
        self,
        message: str,
        code: int = ABNORMAL,
        *,
        retryable: bool | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.retryable = code not in _FINAL if retryable is None else retryable
        self.retry_after = retry_after


class TooSlow(RuntimeError):
    """Events came faster than they were read, and none of them may be dropped."""


def once_more(error: Exception) -> Exception:
    """A copy of an error for another waiter, so that each has its own traceback."""
    again = copy(error)
    again.__cause__ = error.__cause__
    return again


class _Envelope(msgspec.Struct, rename="camel"):
    code: str
    message: str
    retry_after: float | None = None


def refusal(payload: Payload) -> RequestError:
    """The typed error of an envelope.

    A code that this version does not know is `Internal`; the message begins with the code.

    Raises:
        ProtocolError: this is not an envelope.
    """
    envelope = payload.into(_Envelope)
    cls = BY_CODE.get(envelope.code)
    if cls is None:
        message = f"{envelope.code}: {envelope.message}"
        return Internal(message, retry_after=envelope.retry_after)
    return cls(envelope.message, retry_after=envelope.retry_after)


def refusal_in(name: str, payload: Payload, known: type[Event] | None) -> RequestError | None:
    """The typed error of an event, if it says that a request has failed.

    Args:
        name: the event's.
        payload: what it says.
        known: its class; None for an event that is not known here, which is told by its envelope.

    Raises:
        ProtocolError: it is an error event, and has no envelope.
    """
    if name == CreditsInsufficient.event_name:
        told = payload.into(CreditsInsufficient)
        return InsufficientCredits(
            f"`{told.action}` needs {told.required} credits, {told.available} are available",
            required=told.required,
            available=told.available,
        )
    if known is not None:
        return refusal(payload) if issubclass(known, ErrorEvent) else None
    try:
        envelope = payload.into(_Envelope)
    except ProtocolError:
        return None
    return refusal(payload) if envelope.code in BY_CODE else None
