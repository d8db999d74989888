"""Answers without a model: questions are read by a layer that is declared with the data."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from lbproto import NotFound
from lbproto_chat.answerers import Question, Reply
from lbproto_chat.results import LIMITS, run
from lbproto_chat.semantic import Layer, SemanticAnswerer
from lbproto_query import Engine
from lbproto_query import Limits as QueryLimits

__all__ = ["EmbeddedAnswerer"]


class EmbeddedAnswerer:
    """Answers from declared layers; see `Answerer`.

    Args:
        engine: runs the queries, under its guard; entered and left by whoever made it.
        layers: by application, what questions can be about.
        limits: what a query may take.
    """

    def __init__(
        self,
        engine: Engine,
        layers: Mapping[str, Layer],
        *,
        limits: QueryLimits = LIMITS,
    ) -> None:
        self._answerers = {
            application_id: SemanticAnswerer(layer, partial(_rows, engine, application_id, limits))
            for application_id, layer in layers.items()
        }

    async def answer(self, question: Question, reply: Reply) -> None:
        """See `Answerer.answer`. What it used are words.

        Raises:
            NotFound: there is no layer for this application.
            RequestError: as the engine does.
        """
        answerer = self._answerers.get(question.application_id)
        if answerer is None:
            raise NotFound("There is nothing to talk about for this application")
        history = [exchange.question for exchange in question.history]
        answer = await answerer.answer(question.text, history)
        if answer.sql is not None:
            reply.ran(answer.sql)
        reply.used(len(question.text.split()), len(answer.text.split()))
        await reply.say(answer.text)


async def _rows(
    engine: Engine, application_id: str, limits: QueryLimits, sql: str
) -> tuple[list[list[Any]], bool]:
    result = await run(engine, application_id, sql, limits)
    return result.rows, result.is_cut
