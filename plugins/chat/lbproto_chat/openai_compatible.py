"""Models behind any endpoint that speaks OpenAI's chat completions, streamed over HTTP.

Theory of operation. A stream is entered once its first token is there: until then whatever may be
tried again is, with growing pauses; from then on nothing is, as what was said is said. Each token
has to come in time by itself, since comments that keep a connection alive are not tokens. Leaving
the stream early closes the connection, by which servers know that they may stop.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from random import random
from typing import Any, Self

import anyio
import httpx
import msgspec

from lbproto import LimitExceeded, Overloaded, RequestError, RequestTimeout, UsageError
from lbproto_chat.models import Delta, Message, ModelStream
from lbproto_chat.sse import EventReader, TooLong

__all__ = ["ModelFailed", "OpenAICompatible"]

logger = logging.getLogger(__name__)

_RETRYABLE_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504, 529})
_PAUSE = 10.0  # seconds that a server may ask us to wait; where it asks for more, the turn ends
_MAX_STREAM_BYTES = 16 * 1024 * 1024  # bytes of one stream
_REFUSAL = 16 * 1024  # bytes that are read of a refusal
_CLOSING = 0.05  # seconds that a server has to end a stream whose end it has told


class ModelFailed(RuntimeError):
    """The endpoint answers as none should: its operator has to look. Told as `INTERNAL`."""


class _Text(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    delta: _Text | None = None
    finish_reason: str | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Chunk(msgspec.Struct):
    choices: list[_Choice] = []
    usage: _Usage | None = None
    error: Any = None


class _Fault(msgspec.Struct):
    code: Any = None
    type: Any = None


class _Refusal(msgspec.Struct):
    error: _Fault = msgspec.field(default_factory=_Fault)


_chunks = msgspec.json.Decoder(_Chunk)
_refusals = msgspec.json.Decoder(_Refusal)


class _Again(Exception):
    """An attempt has failed in a way that another one may not."""

    def __init__(self, error: RequestError, after: float = 0.0) -> None:
        super().__init__(error)
        self.error = error
        self.after = after


class OpenAICompatible:
    """A model behind an endpoint; an async context manager, to be entered before it is asked.

    Args:
        base_url: of the interface, such as `https://api.openai.com/v1`.
        model: its name there.
        api_key: shown as a bearer token; None for none. It is in no log.
        options: more fields of each request, such as `{"temperature": 0}`, or others in their
            place; None leaves one out: `{"max_tokens": None, "max_completion_tokens": 500}`.
        retries: how often a request is sent again.
        backoff: seconds before the first time, about; twice as many before each further one.
        first_token: seconds until it comes, else the request ends with `TIMEOUT`.
        next_token: seconds until each of the others does, likewise.
        connections: that are open at most.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        api_key: str | None = None,
        options: Mapping[str, Any] | None = None,
        retries: int = 2,
        backoff: float = 0.5,
        first_token: float = 60.0,
        next_token: float = 20.0,
        connections: int = 1_000,
    ) -> None:
        self._url = f"{base_url.rstrip('/')}/chat/completions"
        self._model = model
        self._headers = {"Accept": "text/event-stream", "Accept-Encoding": "identity"}
        if api_key is not None:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._options = dict(options or {})
        self._retries = retries
        self._backoff = backoff
        self._first_token = first_token
        self._next_token = next_token
        self._connections = connections
        self._client: httpx.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        # Tokens are waited for with timeouts of our own; only connecting has one of httpx's.
        self._client = httpx.AsyncClient(
            headers=self._headers,
            verify=self._url.startswith("https:"),  # the authorities take long to be loaded
            timeout=httpx.Timeout(None, connect=10.0, pool=10.0),
            limits=httpx.Limits(max_connections=self._connections),
        )
        return self

    async def __aexit__(self, *error: object) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    @asynccontextmanager
    async def stream(
        self, messages: Sequence[Message], *, max_tokens: int
    ) -> AsyncGenerator[ModelStream]:
        """See `LanguageModel.stream`; raises `ModelFailed` too."""
        stream = await self._begin(messages, max_tokens)
        try:
            yield stream
        finally:
            await stream.close()

    async def _begin(self, messages: Sequence[Message], max_tokens: int) -> _Stream:
        if self._client is None:
            raise UsageError("Enter the OpenAICompatible (`async with`) before it is used")
        fields = {
            "model": self._model,
            "messages": [message._asdict() for message in messages],
            "max_tokens": max_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
            **self._options,
        }
        body = {name: value for name, value in fields.items() if value is not None}
        pause = self._backoff
        for left in reversed(range(self._retries + 1)):
            try:
                return await self._attempt(self._client, body)
            except _Again as failure:
                if not left or failure.after > _PAUSE:
                    raise failure.error from None
                logger.info("the model is asked again: %s", failure.error)
                spread = 0.5 + random()  # noqa: S311 - spreads attempts, keeps no secret
                await anyio.sleep(max(failure.after, pause * spread))
                pause *= 2
        raise AssertionError  # the last attempt returns or raises

    async def _attempt(self, client: httpx.AsyncClient, body: dict[str, Any]) -> _Stream:
        try:
            with anyio.fail_after(self._first_token):
                request = client.build_request("POST", self._url, json=body)
                stream = _Stream(await client.send(request, stream=True), self._next_token)
                try:
                    await stream.begin()
                except BaseException:
                    await stream.close()
                    raise
                return stream
        except TimeoutError:
            raise RequestTimeout("The model did not answer in time") from None
        except httpx.TransportError as error:
            logger.warning("the model is out of reach: %s", type(error).__name__)
            raise _Again(Overloaded("The model is out of reach for now", retry_after=5)) from None


class _Stream:
    """One response: see `ModelStream`."""

    def __init__(self, response: httpx.Response, next_token: float) -> None:
        self.usage: tuple[int, int] | None = None
        self._response = response
        self._next_token = next_token
        self._raw = response.aiter_raw()
        self._reader = EventReader()
        self._size = 0
        self._first: Delta | None = None
        self._is_finished = False  # the model has said why it ends
        self._is_done = False  # so has the stream

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Delta:
        delta, self._first = self._first, None
        if delta is None and not self._is_done:
            try:
                with anyio.fail_after(self._next_token):
                    delta = await self._next()
            except TimeoutError:
                raise RequestTimeout("The model has stopped in the middle of its answer") from None
            except (httpx.TransportError, httpx.StreamError) as error:
                logger.warning("the model has broken off: %s", type(error).__name__)
                raise Overloaded("The model has broken off its answer", retry_after=1) from None
        if delta is None:
            raise StopAsyncIteration
        return delta

    async def begin(self) -> None:
        """Wait for the first token."""
        if self._response.status_code != httpx.codes.OK:
            raise await self._refusal()
        if self._response.headers.get("content-encoding", "identity") != "identity":
            raise ModelFailed("the model's endpoint compresses what it was asked to send as it is")
        self._first = await self._next()

    async def close(self) -> None:
        """Have the connection closed, or used again where the stream has ended."""
        with anyio.CancelScope(shield=True):
            # httpx's iterator has others inside, which end where they wait to read and are
            # cancelled; closed from outside, they would be left to the garbage collector.
            with anyio.move_on_after(_CLOSING if self._is_done else 0), suppress(httpx.HTTPError):
                async for _ in self._raw:
                    pass
            await self._response.aclose()

    async def _next(self) -> Delta | None:
        """The text of the next chunks that have come together; None at the end."""
        while not self._is_done:
            data = await anext(self._raw, None)
            if data is None:
                if not self._is_finished:
                    raise httpx.RemoteProtocolError("the stream has no end")
                self._is_done = True
                break
            self._size += len(data)
            if self._size > _MAX_STREAM_BYTES:
                raise LimitExceeded("The model says more than it was asked for")
            try:
                parts = [self._text(event) for event in self._reader.feed(data)]
            except (msgspec.DecodeError, TooLong, UnicodeDecodeError) as error:
                raise ModelFailed(f"the model's endpoint sent an invalid chunk: {error}") from None
            if any(parts):
                return Delta("".join(parts), sum(map(bool, parts)))
        return None

    def _text(self, event: bytes) -> str:
        if self._is_done or event == b"[DONE]":
            self._is_done = True
            return ""
        chunk = _chunks.decode(event)
        if chunk.error is not None:
            logger.warning("the model has failed in the middle of its answer")
            raise Overloaded("The model has broken off its answer", retry_after=1)
        if chunk.usage is not None:
            self.usage = chunk.usage.prompt_tokens, chunk.usage.completion_tokens
        text = ""
        for choice in chunk.choices[:1]:
            self._is_finished = self._is_finished or choice.finish_reason is not None
            text = (choice.delta and choice.delta.content) or ""
        return text

    async def _refusal(self) -> Exception:
        """The error of an unsuccessful response; its text may name us, and is not shown."""
        status = self._response.status_code
        body = b""
        async for data in self._raw:
            body += data
            if len(body) > _REFUSAL:
                break
        try:
            code = _refusals.decode(body).error.code
        except (msgspec.DecodeError, UnicodeDecodeError):
            code = None
        if code == "context_length_exceeded":
            return LimitExceeded("The conversation is longer than the model can read")
        if status not in _RETRYABLE_STATUSES:
            return ModelFailed(f"the model's endpoint refuses with {status}, {code!r:.100}")
        logger.warning("the model is busy or broken: %d, %.100r", status, code)
        after = self._response.headers.get("retry-after", "")
        seconds = float(after) if after.isdecimal() and len(after) < 6 else 0.0
        return _Again(Overloaded("The model is busy", retry_after=max(1.0, seconds)), seconds)
