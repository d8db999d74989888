"""An identity provider's keys, fetched from where it publishes them.

Theory of operation. Keys are fetched when they are first needed, and again when they are older than
their lifetime, or when a token names one that is not among them: a provider may have a new one. One
fetch serves everybody who waits for it. Between two fetches there is a pause, so that forged tokens
with made-up key ids cannot hammer the provider. While the provider does not answer, the keys there
are go on being served, for a bounded time.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from http.client import HTTPException
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

import anyio
from anyio import to_thread

from lbproto.auth.jwt import KeySource, check_key
from lbproto.clock import Clock, SystemClock
from lbproto.errors import Overloaded, UsageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

__all__ = ["JWKS"]

logger = logging.getLogger(__name__)

_MAX_BYTES = 256 * 1024
_CHUNK = 16 * 1024
_PAUSE_WITHOUT_KEYS = 1.0

_Keys = list[tuple[str | None, str, "PublicKeyTypes"]]  # key id, algorithm, key


class JWKS(KeySource):
    """The keys behind a URL, a JSON Web Key Set (RFC 7517). Times in seconds.

    Args:
        url: HTTPS, or HTTP on this machine.
        lifetime: for how long keys are used before they are fetched again.
        stale: for how long they are used when they cannot be.
        pause: between two fetches, at least.
        timeout: what a fetch may take.
        clock: what the times are measured by.

    Raises:
        UsageError: the URL is of another kind.
    """

    def __init__(
        self,
        url: str,
        *,
        lifetime: float = 300.0,
        stale: float = 86_400.0,
        pause: float = 30.0,
        timeout: float = 5.0,
        clock: Clock | None = None,
    ) -> None:
        self._url = url
        self._host = _checked_host(url)
        self._lifetime = lifetime
        self._stale = stale
        self._pause = pause
        self._timeout = timeout
        self._clock = clock or SystemClock()
        self._keys: _Keys = []
        self._fetched_at: float | None = None  # monotonic, when the keys there are came
        self._tried_at: float | None = None
        self._fetching: anyio.Event | None = None

    async def find(self, kid: str | None, algorithm: str) -> Sequence[PublicKeyTypes]:
        if self._age() >= self._lifetime:
            await self._refresh()
        found = self._matching(kid, algorithm)
        if not found:
            await self._refresh()
            found = self._matching(kid, algorithm)
        if self._age() >= self._stale:
            raise Overloaded("the keys to verify tokens cannot be fetched now")
        return found

    def _age(self) -> float:
        if self._fetched_at is None:
            return float("inf")
        return self._clock.monotonic() - self._fetched_at

    def _matching(self, kid: str | None, algorithm: str) -> list[PublicKeyTypes]:
        return [key for id_, known, key in self._keys if known == algorithm and kid in (None, id_)]

    async def _refresh(self) -> None:
        """Fetch the keys, or wait for whoever is at it; not sooner than the pause allows."""
        while self._fetching is not None:
            await self._fetching.wait()  # whoever was at it may have been cancelled
        now = self._clock.monotonic()
        pause = self._pause if self._keys else min(self._pause, _PAUSE_WITHOUT_KEYS)
        if self._tried_at is not None and now - self._tried_at < pause:
            return
        self._fetching = anyio.Event()
        try:
            keys = await to_thread.run_sync(self._fetch, abandon_on_cancel=True)
            self._tried_at = now
            if keys is not None:
                self._keys, self._fetched_at = keys, now
        finally:
            self._fetching.set()
            self._fetching = None

    def _fetch(self) -> _Keys | None:
        """In a thread: what the provider publishes; None, logged, where that cannot be had."""
        try:
            keys = _usable(json.loads(self._download()))
        except (OSError, HTTPException, ValueError, TypeError, RecursionError) as error:
            logger.warning("the keys at %s cannot be fetched: %s", self._host, error)
            return None
        if not keys:
            logger.warning("there is no key at %s that can be used", self._host)
            return None
        return keys

    def _download(self) -> bytes:
        deadline = time.monotonic() + self._timeout  # a thread waits by the machine's clock
        request = Request(self._url, headers={"accept": "application/json"})  # noqa: S310 - checked
        body = bytearray()
        with _opener.open(request, timeout=self._timeout) as response:
            while chunk := response.read1(_CHUNK):
                body += chunk
                if len(body) > _MAX_BYTES:
                    raise ValueError(f"more than {_MAX_BYTES} bytes")
                if time.monotonic() > deadline:
                    raise TimeoutError("it takes too long")
        return bytes(body)


class _NoRedirects(HTTPRedirectHandler):
    """Keys come from where the host says, not from where that says."""

    def redirect_request(self, *_: object) -> None:
        return None


_opener = build_opener(_NoRedirects)


def _usable(key_set: object) -> _Keys:
    """The keys of a set that may verify tokens here; others are passed over."""
    from jwt import PyJWK, PyJWTError

    members = key_set.get("keys") if isinstance(key_set, dict) else None
    if not isinstance(members, list):
        raise ValueError("this is not a JSON Web Key Set")
    keys: _Keys = []
    for member in members:
        if not isinstance(member, dict) or member.get("use", "sig") != "sig":
            continue
        try:
            key = PyJWK(member).key
        except (PyJWTError, ValueError, TypeError):
            continue
        algorithm = check_key(key)
        if algorithm is not None and member.get("alg", algorithm) == algorithm:
            keys.append((member.get("kid"), algorithm, key))
    return keys


def _checked_host(url: str) -> str:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host and (parts.scheme == "https" or (parts.scheme == "http" and _is_here(host))):
        return host
    raise UsageError("JWKS: the URL must be HTTPS (or HTTP on this machine, for tests)")


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
