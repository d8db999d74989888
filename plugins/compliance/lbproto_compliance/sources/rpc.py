"""JSON-RPC 2.0 over HTTP, many calls in one request: jsonrpc.org/specification."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias, TypeVar

import msgspec

from lbproto_compliance.sources.batches import SourceError
from lbproto_compliance.sources.peers import Peer, TooLarge
from lbproto_compliance.sources.together import together

__all__ = ["Call", "Decode", "Refused", "Rpc"]

T = TypeVar("T")

Decode: TypeAlias = Callable[[bytes], T]
"""Makes something of a result; `ValueError` says that the call should be made again."""

# "Limit exceeded" (EIP-1474), and what some providers put there: the status of HTTP.
_LIMITED = frozenset({-32005, 429})

_MESSAGE_LENGTH = 200


class Call(NamedTuple):
    """A method and its parameters."""

    method: str
    params: tuple[Any, ...] = ()


class Refused(msgspec.Struct, frozen=True):
    """What a node answers to a call it does not carry out."""

    code: int
    message: str = ""

    def __str__(self) -> str:
        return f"{self.message[:_MESSAGE_LENGTH]} ({self.code})"


class _Answer(msgspec.Struct):
    """One call's; `id` is null where the node could not read the request."""

    id: int | None = None
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: Refused | None = None


_answers = msgspec.json.Decoder(list[_Answer] | _Answer)


class Rpc:
    """A node.

    Args:
        peer: where it is.
        batch: how many calls go into one request, at most; fewer where their answers are too large
            or the node takes no more.
    """

    def __init__(self, peer: Peer, batch: int) -> None:
        self._peer = peer
        self._batch = batch

    async def call(self, call: Call, decode: Decode[T]) -> T | Refused:
        """What comes of one call.

        Raises:
            SourceError: there is no answer, or none that can be read.
        """
        return (await self.call_all([call], decode))[0]

    async def demand(self, call: Call, decode: Decode[T]) -> T:
        """The same for a call that has to succeed.

        Raises:
            SourceError: there is no answer, none that can be read, or the node refuses.
        """
        return (await self.demand_all([call], decode))[0]

    async def demand_all(self, calls: Sequence[Call], decode: Decode[T]) -> list[T]:
        """The same for several."""
        results: list[T] = []
        for call, result in zip(calls, await self.call_all(calls, decode), strict=True):
            if isinstance(result, Refused):
                params = ", ".join(map(str, call.params))
                raise SourceError(f"{self._peer.host} refuses {call.method}({params}): {result}")
            results.append(result)
        return results

    async def call_all(self, calls: Sequence[Call], decode: Decode[T]) -> list[T | Refused]:
        """What comes of each call, in their order; several requests may be under way at once.

        Raises:
            SourceError: there is no answer to one, or none that can be read.
        """
        starts = range(0, len(calls), self._batch)
        parts = (calls[start : start + self._batch] for start in starts)
        results = await together(partial(self._request, part, decode) for part in parts)
        return [result for part in results for result in part]

    async def _request(self, calls: Sequence[Call], decode: Decode[T]) -> list[T | Refused]:
        """One request, or more where it is too large."""
        messages = [
            {"jsonrpc": "2.0", "id": number, "method": call.method, "params": call.params}
            for number, call in enumerate(calls)
        ]
        # A node may know no batches: what is alone is sent as what it is.
        body = msgspec.json.encode(messages if len(messages) > 1 else messages[0])
        try:
            return await self._peer.ask(partial(_results, len(calls), decode), body=body)
        except TooLarge:
            if len(calls) == 1:
                raise
        middle = len(calls) // 2
        first = await self._request(calls[:middle], decode)
        return first + await self._request(calls[middle:], decode)


def _results(count: int, decode: Decode[T], body: bytes) -> list[T | Refused]:
    """The results of a request with the ids from 0 to `count`.

    Raises:
        TooLarge: the node takes no request of so many calls.
        ValueError: they are not whole, or cannot be read.
    """
    answers = _answers.decode(body)
    if isinstance(answers, _Answer):
        answers = [answers]
        if answers[0].error is not None:  # of the whole request, which names no call
            answers[0].id = 0
    for answer in answers:
        if answer.error is not None and answer.error.code in _LIMITED:
            raise ValueError(str(answer.error))
    if len(answers) == 1 < count and answers[0].error is not None:
        raise TooLarge(f"no answer to {count} calls in one request: {answers[0].error}")
    by_id = {answer.id: answer for answer in answers}
    if by_id.keys() != set(range(count)) or len(answers) != count:
        raise ValueError("it does not answer each call once")
    return [
        decode(bytes(answer.result)) if answer.error is None else answer.error
        for answer in (by_id[number] for number in range(count))
    ]
