"""Servers asked over HTTP: answers are bounded, and what passes is tried again."""

from __future__ import annotations

import logging
import random
import zlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Self, TypeVar

import anyio
import httpx
import msgspec

from lbproto_compliance.sources.batches import SourceError

__all__ = ["Patience", "Peer", "TooLarge"]

logger = logging.getLogger(__name__)
_httpx = logging.getLogger("httpx")

T = TypeVar("T")

# Timeouts, too many requests, and a server or what stands before it that is down or overloaded.
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_TOO_LARGE = 413

# Unpacked here, because httpx knows no bound.
_HEADERS = {"accept-encoding": "gzip", "content-type": "application/json"}
_GZIP = zlib.MAX_WBITS | 16


class TooLarge(SourceError):
    """An answer, or the request for it, is larger than either side takes. Less may be asked for."""


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How much is put up with.

    Args:
        attempts: how often one thing is asked for.
        seconds: for one attempt, from the request to the end of the answer.
        pause: before the second attempt, in seconds; each further one waits twice as long, and up
            to a quarter more or less, so that many do not come back at once.
        longest_pause: in seconds; also where the server asks for a longer one (`Retry-After`).
        max_bytes: of one answer, unpacked.
        sleep: waits for seconds.
    """

    attempts: int = 8
    seconds: float = 60
    pause: float = 0.5
    longest_pause: float = 120
    max_bytes: int = 64 * 1024 * 1024
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep


class Peer:
    """One server, within `async with`.

    Args:
        url: where its paths begin. It may hold a key: messages and logs have its host only.
        patience: how much is put up with.
        concurrency: how many requests may be under way.

    Raises:
        SourceError: it is not an http or https URL.
    """

    def __init__(self, url: str, patience: Patience, concurrency: int) -> None:
        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise SourceError(f"not the address of a server: {error}") from None
        if parsed.scheme not in {"http", "https"} or not parsed.host:
            raise SourceError("not the address of a server: it begins with http:// or https://")
        self.host = parsed.host
        self._url = str(parsed)
        self._patience = patience
        self._limiter = anyio.CapacityLimiter(concurrency)
        # To load certificates takes its time. A node of one's own is asked over plain HTTP, where
        # there is nothing to verify, and no redirect leads from there to where there is.
        secure = parsed.scheme == "https"
        self._client = httpx.AsyncClient(timeout=patience.seconds, verify=secure)

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        _httpx.addFilter(self._holds_no_key)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _httpx.removeFilter(self._holds_no_key)
        await self._client.__aexit__(kind, error, traceback)

    def _holds_no_key(self, record: logging.LogRecord) -> bool:
        """Whether what httpx wants to log may be: it tells of each request with its whole URL."""
        return self._url not in record.getMessage()

    async def ask(
        self, decode: Callable[[bytes], T], *, path: str = "", body: bytes | None = None
    ) -> T:
        """What the server answers to a GET of `path`, or to a POST of `body`, decoded.

        It is asked again while it is out of reach, says that it is overloaded or asked too often,
        or gives what `decode` refuses (`ValueError`).

        Raises:
            TooLarge: the answer is larger than `max_bytes`, or the request than the server takes.
            SourceError: it refuses for good, or patience is at its end.
        """
        async with self._limiter:
            pause = self._patience.pause
            attempt = 0
            while True:
                attempt += 1
                try:
                    return decode(await self._fetch(path, body))
                except _Passing as passing:
                    reason, wait = passing.reason, passing.wait
                except ValueError as error:  # what msgspec raises is one
                    reason, wait = f"its answer cannot be read: {error}", None
                except RecursionError:
                    raise SourceError(f"{self.host}: its answer is nested too deeply") from None
                if attempt == self._patience.attempts:
                    raise SourceError(
                        f"{self.host}: {reason}. Asked {attempt} times; what was imported stays, "
                        "so import again when it answers"
                    )
                logger.info("%s: %s; asking again", self.host, reason)
                if wait is None:
                    wait = pause * random.uniform(0.75, 1.25)  # noqa: S311 - no secret
                await self._patience.sleep(min(wait, self._patience.longest_pause))
                pause *= 2

    async def _fetch(self, path: str, body: bytes | None) -> bytes:
        """One attempt."""
        try:
            with anyio.fail_after(self._patience.seconds):
                async with self._client.stream(
                    "GET" if body is None else "POST",
                    self._url + path,
                    content=body,
                    headers=_HEADERS,
                ) as response:
                    self._check(response)
                    return await self._body(response)
        except TimeoutError:
            raise _Passing(f"no answer within {self._patience.seconds:g} s") from None
        except httpx.TransportError as error:
            raise _Passing(f"the connection failed ({type(error).__name__})") from None

    def _check(self, response: httpx.Response) -> None:
        status = response.status_code
        if status in _PASSING:
            raise _Passing(f"it answers {status}", _retry_after(response.headers))
        if status == _TOO_LARGE:
            raise TooLarge(f"{self.host}: the request is larger than it takes")
        if status != httpx.codes.OK:
            raise SourceError(f"{self.host}: it answers {status}, so it is not the server meant")

    async def _body(self, response: httpx.Response) -> bytes:
        body = _Body(self._patience.max_bytes, response.headers.get("content-encoding", ""))
        try:
            async for part in response.aiter_raw():
                body.add(part)
                if body.refused is not None:
                    # Read on all the same, to the end that this makes at once: a loop that is left
                    # would leave generators of httpx's behind, which trio minds.
                    await response.aclose()
        except httpx.TransportError:
            if body.refused is None:
                raise
        try:
            return body.whole()
        except TooLarge as error:
            raise TooLarge(f"{self.host}: {error}") from None


class _Body:
    """An answer's body, unpacked no further than its bound.

    Attributes:
        refused: why more is not accepted; None while it is.
    """

    def __init__(self, bound: int, encoding: str) -> None:
        self.refused: Exception | None = None
        self._bound = bound
        self._data = bytearray()
        self._gzip = zlib.decompressobj(_GZIP) if encoding.lower() == "gzip" else None
        if encoding and self._gzip is None:
            self.refused = _Passing("it packs its answer in a way that was not asked for")

    def add(self, part: bytes) -> None:
        """More of it, as it comes."""
        if self.refused is not None:
            return
        if self._gzip is not None:
            try:
                part = self._gzip.decompress(part, self._bound - len(self._data) + 1)
            except zlib.error:
                self.refused = _Passing("its answer cannot be unpacked")
                return
        self._data += part
        if len(self._data) > self._bound:
            self.refused = TooLarge(f"an answer of more than {self._bound} bytes")

    def whole(self) -> bytes:
        """All of it.

        Raises:
            TooLarge, _Passing: it was refused, or has no end.
        """
        if self._gzip is not None and not self._gzip.eof and self.refused is None:
            self.refused = _Passing("its answer is cut off")
        if self.refused is not None:
            raise self.refused
        return bytes(self._data)


class _Passing(Exception):
    """An attempt failed, and the next may not."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait = wait


def _retry_after(headers: httpx.Headers) -> float | None:
    """Seconds until the server wants to be asked again: RFC 9110, 10.2.3."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (when.astimezone(UTC) - datetime.now(UTC)).total_seconds())
