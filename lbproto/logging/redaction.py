"""Hides what looks like a secret in logs: a safety net, since none should be logged."""

from __future__ import annotations

import re

__all__ = ["HIDDEN", "is_secret_name", "without_secrets"]

HIDDEN = "***"

_NAME = re.compile(r"(?i)(?:token|password|passwd|secret|api_?key|authorization)$")

# Each looks at a character a few times at most, whatever the text: clients write some of it.
_FORMS = (
    # The password in a URL, which may itself hold an "@" that is not escaped.
    (re.compile(r"(?<=://)([^\s:/@]*):[^\s/]+@"), rf"\1:{HIDDEN}@"),
    (re.compile(r"(?i)\b(bearer|basic)(\s+|\.)[\w.~+/=-]{4,}"), rf"\1\2{HIDDEN}"),
    # A JSON Web Token: a header, an object in base64, and a signature.
    (re.compile(r"(?<![\w-])[\w-]+\.eyJ[\w-]{2,}\.[\w-]*"), HIDDEN),
    (
        re.compile(
            r"""(?ix) (?<![^\W_]) ((?: token | password | passwd | secret | api_?key )
            ["']? \s* [:=] \s*) (?: "[^"]*" | '[^']*' | [^\s,;&)}\]"']+ )"""
        ),
        rf"\1{HIDDEN}",
    ),
)


def without_secrets(text: str) -> str:
    """The text with what looks like a secret hidden.

    That is passwords in URLs, bearer tokens, JSON Web Tokens, and what is called a token, password,
    secret or API key.
    """
    for form, shown in _FORMS:
        text = form.sub(shown, text)
    return text


def is_secret_name(name: str) -> bool:
    """Whether what is called so is a secret, whatever it looks like."""
    return _NAME.search(name) is not None
