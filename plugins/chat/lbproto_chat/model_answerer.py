"""Answers by a language model: it asks for a result with SQL, and says what is in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lbproto import InvalidRequest, NotFound
from lbproto_chat.answerers import Question, Reply
from lbproto_chat.fences import Fence
from lbproto_chat.models import LanguageModel, Message
from lbproto_chat.prompts import asked, correction, summary
from lbproto_chat.results import LIMITS, Result, columns_of, run
from lbproto_chat.tokens import about
from lbproto_query import Engine
from lbproto_query import Limits as QueryLimits

__all__ = ["ModelAnswerer"]


class ModelAnswerer:
    """Has a model answer from an application's tables; see `Answerer`.

    The model is told the tables and the question. Where it asks for SQL, that is run under the
    engine's guard and limits, like any client's; where the database does not take the statement,
    the model may correct it, once. It then says what the result is. What it says besides is passed
    on as it comes. Nothing that it writes is run except that one statement.

    Args:
        model: what is asked; entered and left by whoever made it.
        engine: runs the SQL, likewise.
        tables: by application, those that the model knows, each with a sentence about it.
        limits: what a statement may take; of its rows the model is shown some 12,000 characters.
        max_tokens: that each of the model's answers may have, of which a turn has up to three.
        dialect: of SQL, as the model is told.
    """

    def __init__(
        self,
        model: LanguageModel,
        engine: Engine,
        tables: Mapping[str, Mapping[str, str]],
        *,
        limits: QueryLimits = LIMITS,
        max_tokens: int = 1_000,
        dialect: str = "DuckDB",
    ) -> None:
        self._model = model
        self._engine = engine
        self._tables = tables
        self._limits = limits
        self._max_tokens = max_tokens
        self._dialect = dialect

    async def answer(self, question: Question, reply: Reply) -> None:
        """See `Answerer.answer`.

        Raises:
            NotFound: there are no tables for this application.
            RequestError: what the model or the engine raise.
        """
        tables = await self._described(question.application_id)
        messages = asked(question, tables, self._dialect)
        sql, has_spoken = await self._ask(messages, reply)
        if sql is None:
            return
        try:
            result = await self._run(question, sql)
        except (InvalidRequest, NotFound) as refusal:
            messages += correction(sql, refusal.message)
            sql, has_spoken = await self._ask(messages, reply)
            if sql is None:
                return
            result = await self._run(question, sql)
        reply.ran(sql)
        if has_spoken:
            await reply.say("\n\n")
        await self._say([*messages, *summary(sql, result)], reply)

    async def _described(self, application_id: str) -> dict[str, dict[str, Any]]:
        known = self._tables.get(application_id)
        if known is None:
            raise NotFound("There is nothing to talk about for this application")
        return {
            table: {
                "about": sentence,
                "columns": await columns_of(self._engine, application_id, table),
            }
            for table, sentence in known.items()
        }

    async def _run(self, question: Question, sql: str) -> Result:
        return await run(self._engine, question.application_id, sql, self._limits)

    async def _ask(self, messages: Sequence[Message], reply: Reply) -> tuple[str | None, bool]:
        """Have the model answer.

        Returns:
            The SQL that it wants to run, None for none; and whether it has said anything besides.
        """
        fence = Fence()
        text = ""
        has_spoken = False
        async with self._model.stream(messages, max_tokens=self._max_tokens) as stream:
            async for delta in stream:
                text += delta.text
                said = fence.feed(delta.text)
                if has_spoken or said.strip():
                    has_spoken = True
                    await reply.say(said, delta.tokens)
            _count(stream.usage, messages, text, reply)
        if said := fence.end():
            await reply.say(said)
        return fence.sql, has_spoken

    async def _say(self, messages: Sequence[Message], reply: Reply) -> None:
        text = ""
        async with self._model.stream(messages, max_tokens=self._max_tokens) as stream:
            async for delta in stream:
                text += delta.text
                await reply.say(delta.text, delta.tokens)
            _count(stream.usage, messages, text, reply)


def _count(
    usage: tuple[int, int] | None, messages: Sequence[Message], text: str, reply: Reply
) -> None:
    if usage is None:
        usage = sum(about(message.content) for message in messages), about(text)
    reply.used(*usage)
