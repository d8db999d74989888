"""Logs that programs can read, and that name who and what without telling a secret.

Everything is the standard library's `logging`: lbproto's records have fields (`session`, `user`,
`event`, `request`, `incident`) that any formatter may show. `configure` is what `lbproto serve`
does; a host that has handlers of its own takes the formatters, or the fields alone.
"""

from lbproto.logging.fields import in_request, log_fields
from lbproto.logging.formats import JSONFormatter, TextFormatter
from lbproto.logging.redaction import without_secrets
from lbproto.logging.setup import Format, Level, configure
from lbproto.operations.pseudonyms import pseudonym, use_key

__all__ = [
    "Format",
    "JSONFormatter",
    "Level",
    "TextFormatter",
    "configure",
    "in_request",
    "log_fields",
    "pseudonym",
    "use_key",
    "without_secrets",
]
