"""Requests at the same time: their order, and what becomes of the others when one fails."""

from __future__ import annotations

from functools import partial

import anyio
import anyio.lowlevel
import pytest

from lbproto_compliance.sources import SourceError
from lbproto_compliance.sources.together import together

pytestmark = pytest.mark.anyio


async def test_results_are_in_the_order_of_the_calls() -> None:
    async def after(turns: int) -> int:
        for _ in range(turns):
            await anyio.lowlevel.checkpoint()
        return turns

    assert await together(partial(after, turns) for turns in (5, 0, 3)) == [5, 0, 3]


async def test_one_that_fails_ends_the_others() -> None:
    async def failing() -> None:
        await anyio.lowlevel.checkpoint()
        raise SourceError("the node refuses")

    with anyio.fail_after(60), pytest.raises(SourceError, match=r"^the node refuses$"):
        await together([anyio.sleep_forever, failing])
