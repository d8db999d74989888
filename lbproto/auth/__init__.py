"""Authentication: the port that verifies tokens, and its implementations."""

from lbproto.auth.api_keys import APIKey, APIKeys
from lbproto.auth.base import (
    Authenticate,
    Authenticator,
    Authorize,
    Identity,
    granted_applications,
    strip_bearer,
)
from lbproto.auth.clerk import Clerk
from lbproto.auth.jwks import JWKS
from lbproto.auth.jwt import JWT, PEM, KeySource
from lbproto.auth.static import StaticTokens

__all__ = [
    "JWKS",
    "JWT",
    "PEM",
    "APIKey",
    "APIKeys",
    "Authenticate",
    "Authenticator",
    "Authorize",
    "Clerk",
    "Identity",
    "KeySource",
    "StaticTokens",
    "granted_applications",
    "strip_bearer",
]
