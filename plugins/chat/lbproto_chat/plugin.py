"""The plugin: a turn of a conversation is a job."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from functools import partial
from typing import Any

import msgspec

from lbproto import InvalidRequest, Job, Plugin, Server, Stages
from lbproto_chat.answerers import Answerer, Exchange, Question
from lbproto_chat.conversations import Conversation, Conversations
from lbproto_chat.events import (
    Chat,
    ChatDelete,
    ChatDeleted,
    ChatError,
    ChatMessage,
    ChatResponse,
    ChatStopTyping,
    ChatTyping,
    Usage,
)
from lbproto_chat.prices import TokenPrice
from lbproto_chat.replies import Collector

__all__ = ["chat"]

_WAITING = 3
"""Turns of one conversation that may wait."""
_AHEAD = 2_048
"""Bytes that a client may be behind before deltas are collected: some ten of them."""
_CONTEXT = 16 * 1024
"""Bytes of JSON that a question's context may have."""


def chat(
    answerer: Answerer,
    *,
    conversations: Conversations | None = None,
    price: TokenPrice | int | Callable[[Chat], int | Awaitable[int]] | None = None,
    weight: int = 1,
    timeout: float | None = 300.0,
    max_answer: int = 100_000,
    resources: AbstractAsyncContextManager[Any] | None = None,
) -> Plugin:
    """Conversations; `chat` in the contract.

    Args:
        answerer: makes the answers.
        conversations: how they are kept; as by `Conversations()`.
        price: by tokens, or for each turn, as for `Plugin.job`.
        weight: against the server's limits, as for `Plugin.job`.
        timeout: seconds that a turn may take, once it has been accepted; None for any time.
        max_answer: characters of an answer, then it ends with `LIMIT_EXCEEDED`.
        resources: entered when the server starts and left when it stops, such as an engine that
            only the answerer uses.
    """

    @asynccontextmanager
    async def running(_server: Server) -> AsyncIterator[None]:
        async with resources or nullcontext():
            yield

    plugin = Plugin("chat", description="answers about an application's data", lifespan=running)
    kept = conversations or Conversations()
    rate = price if isinstance(price, TokenPrice) else None
    stages = Stages(
        start=ChatTyping,
        output=ChatMessage,
        closing=_closing,
        before_terminal=ChatStopTyping,
        success=ChatResponse,
        failure=ChatError,
        id="message_id",
        group="conversation_id",
        waiting=_WAITING,
    )

    @plugin.job(
        Chat,
        stages=stages,
        price=price.estimate if isinstance(price, TokenPrice) else price,
        weight=weight,
        timeout=timeout,
    )
    async def ask(job: Job[Chat]) -> ChatResponse:
        request = job.request
        await job.ctx.authorize(request.application_id)
        context = _plain(request.context)
        turn = partial(_answer, job, context, answerer, rate, max_answer)
        return await kept.take_turn(job.ctx, request.application_id, request.conversation_id, turn)

    deletion = Stages(
        success=ChatDeleted, failure=ChatError, group="conversation_id", waiting=_WAITING
    )

    @plugin.job(ChatDelete, stages=deletion)
    async def delete(job: Job[ChatDelete]) -> ChatDeleted:
        request = job.request
        await job.ctx.authorize(request.application_id)

        async def turn(conversation: Conversation) -> ChatDeleted:
            existed = await conversation.forget()
            return ChatDeleted(conversation_id=request.conversation_id, existed=existed)

        return await kept.take_turn(job.ctx, request.application_id, request.conversation_id, turn)

    return plugin


async def _answer(
    job: Job[Chat],
    context: Any,
    answerer: Answerer,
    rate: TokenPrice | None,
    most: int,
    conversation: Conversation,
) -> ChatResponse:
    request = job.request
    question = Question(
        text=request.message,
        application_id=request.application_id,
        history=await conversation.history(),
        context=context,
    )
    collector = Collector(question, most)
    seq = charged = 0

    async def charge(usage: Usage) -> None:
        nonlocal charged
        if rate is not None:
            cost = max(charged, rate.of(usage))
            await job.charge(cost - charged)
            charged = cost

    async def deliver(text: str, usage: Usage) -> None:
        nonlocal seq
        await charge(usage)
        message = _message(request, job.id, seq, text)
        seq += 1
        await job.send(message, ahead=_AHEAD)

    try:
        await collector.deliver(answerer, deliver)
    finally:
        if collector.text:
            said = Exchange(request.message, collector.text, collector.sql)
            await conversation.add(said)
    usage = collector.usage
    await charge(usage)
    return ChatResponse(
        conversation_id=request.conversation_id,
        message_id=job.id,
        tokens=usage.prompt + usage.completion,
        usage=usage,
        sql=collector.sql,
    )


def _message(request: Chat, id_: str, seq: int | None, delta: str) -> ChatMessage:
    return ChatMessage(
        conversation_id=request.conversation_id,
        role="assistant",
        delta=delta,
        is_final=not delta,
        message_id=id_,
        seq=seq,
    )


def _closing(request: Chat, id_: str, told: int | None) -> ChatMessage:
    return _message(request, id_, told, "")


def _plain(context: object) -> Any:
    """A question's context as JSON has it: not every wire sends only what JSON can hold."""
    try:
        data = msgspec.json.encode(context)
    except (TypeError, ValueError):
        raise InvalidRequest("`context` is not what JSON can hold - at `$.context`") from None
    if len(data) > _CONTEXT:
        raise InvalidRequest(f"`context` has more than {_CONTEXT:,} bytes - at `$.context`")
    return msgspec.json.decode(data)
