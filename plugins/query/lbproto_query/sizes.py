"""How large a query may be, before anybody reads it."""

from __future__ import annotations

import msgspec

from lbproto import InvalidRequest, LimitExceeded
from lbproto_query.engines import QueryRequest

__all__ = ["CHUNK_BYTES", "check_size"]

CHUNK_BYTES = 64 * 1024
"""Of rows that are sent together, about."""

_MAX_SQL = 64 * 1024  # characters
_MAX_PARAMS = 1000
_MAX_PARAM_BYTES = 256 * 1024


def check_size(request: QueryRequest) -> None:
    """Refuse what is larger than any query that a person would write."""
    if len(request.sql) > _MAX_SQL:
        raise LimitExceeded(f"A query has at most {_MAX_SQL} characters")
    if len(request.params) > _MAX_PARAMS:
        raise LimitExceeded(f"A query has at most {_MAX_PARAMS} parameters")
    try:
        request.sql.encode()
        size = len(msgspec.msgpack.encode(request.params))
    except UnicodeError as error:
        raise InvalidRequest("The query has characters that are not valid Unicode") from error
    except (RecursionError, OverflowError) as error:
        raise LimitExceeded("The parameters are too deep or too large") from error
    if size > _MAX_PARAM_BYTES:
        raise LimitExceeded(f"The parameters have at most {_MAX_PARAM_BYTES} bytes")
