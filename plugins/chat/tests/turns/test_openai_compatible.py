"""A model behind a real socket, and all that may go wrong there."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from lbproto import LimitExceeded, Overloaded, RequestTimeout, UsageError
from lbproto_chat import Message
from lbproto_chat.openai_compatible import ModelFailed, OpenAICompatible

pytestmark = pytest.mark.anyio

HELLO = [Message("user", "Hello")]
NewModel = Callable[..., OpenAICompatible]


class Told:
    """What came of a stream."""

    def __init__(self) -> None:
        self.text = ""
        self.tokens = 0
        self.usage: tuple[int, int] | None = None


async def ask(model: OpenAICompatible, told: Told | None = None) -> Told:
    told = told or Told()
    with anyio.fail_after(60):
        async with model, model.stream(HELLO, max_tokens=50) as stream:
            async for text, tokens in stream:
                told.text += text
                told.tokens += tokens
            told.usage = stream.usage
    return told


async def test_a_stream_and_its_usage(scripted: Any, new_model: NewModel) -> None:
    scripted.says(["Hel", "lo ", "wörld"])
    told = await ask(new_model(api_key="s3cret", options={"temperature": 0}))
    assert (told.text, told.tokens, told.usage) == ("Hello wörld", 3, (100, 10))
    (request,) = scripted.requests
    assert request == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hello"}],
        "max_tokens": 50,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert scripted.headers["authorization"] == "bearer s3cret"


async def test_an_endpoint_that_tells_no_usage(scripted: Any, new_model: NewModel) -> None:
    scripted.usage = None
    scripted.says(["Hi"])
    assert (await ask(new_model())).usage is None


async def test_two_answers_over_one_connection(scripted: Any, new_model: NewModel) -> None:
    scripted.says(["a"], ["b"])
    async with new_model(connections=1) as model:
        for expected in "ab":
            with anyio.fail_after(60):
                async with model.stream(HELLO, max_tokens=5) as stream:
                    assert [delta.text async for delta in stream] == [expected]


async def test_leaving_early_closes_the_connection(scripted: Any, new_model: NewModel) -> None:
    scripted.says(["a", "b", anyio.Event()])
    async with new_model() as model:
        with anyio.fail_after(60):
            async with model.stream(HELLO, max_tokens=5) as stream:
                assert (await anext(stream)).text
            await scripted.left.wait()
    assert scripted.closed == 1


async def test_a_cancelled_reader_closes_it_too(scripted: Any, new_model: NewModel) -> None:
    scripted.says(["a", anyio.Event()])
    async with new_model() as model, anyio.create_task_group() as tasks:
        reading = anyio.Event()

        async def read() -> None:
            async with model.stream(HELLO, max_tokens=5) as stream:
                async for _ in stream:
                    reading.set()

        tasks.start_soon(read)
        with anyio.fail_after(60):
            await reading.wait()
            tasks.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await scripted.left.wait()
    assert scripted.closed == 1


@pytest.mark.parametrize("status", [408, 429, 500, 503])
async def test_what_may_be_tried_again_is(scripted: Any, new_model: NewModel, status: int) -> None:
    scripted.says([status], [status], ["Hi"])
    assert (await ask(new_model())).text == "Hi"
    assert len(scripted.requests) == 3


async def test_it_is_not_tried_for_ever(scripted: Any, new_model: NewModel) -> None:
    scripted.says([503])
    with pytest.raises(Overloaded):
        await ask(new_model(retries=1))
    assert len(scripted.requests) == 2


async def test_a_long_pause_is_left_to_the_user(scripted: Any, new_model: NewModel) -> None:
    scripted.refusal = {"retry-after": "3600"}, b"{}"
    scripted.says([429])
    with pytest.raises(Overloaded) as refused:
        await ask(new_model())
    assert refused.value.retry_after == 3600
    assert len(scripted.requests) == 1


@pytest.mark.parametrize("status", [400, 401, 404])
async def test_what_its_operator_has_to_see(
    scripted: Any, new_model: NewModel, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    scripted.refusal = {}, b'{"error": {"code": "invalid", "message": "your key s3cret is bad"}}'
    scripted.says([status])
    with pytest.raises(ModelFailed) as refused:
        await ask(new_model(api_key="s3cret"))
    assert str(status) in str(refused.value)
    assert "s3cret" not in f"{refused.value} {caplog.text}"
    assert len(scripted.requests) == 1


async def test_more_than_the_model_can_read(scripted: Any, new_model: NewModel) -> None:
    scripted.refusal = {}, b'{"error": {"code": "context_length_exceeded"}}'
    scripted.says([400])
    with pytest.raises(LimitExceeded):
        await ask(new_model())


async def test_nobody_is_there(new_model: NewModel, free_tcp_port: int) -> None:
    model = OpenAICompatible(f"http://127.0.0.1:{free_tcp_port}/v1", "m", backoff=0.001)
    with pytest.raises(Overloaded):
        await ask(model)


async def test_a_connection_that_breaks_before_the_first_token(
    scripted: Any, new_model: NewModel
) -> None:
    scripted.says([scripted.CUT], ["Hi"])
    assert (await ask(new_model())).text == "Hi"


async def test_one_that_breaks_later_is_not_tried_again(scripted: Any, new_model: NewModel) -> None:
    scripted.says(["Hel", scripted.CUT], ["never"])
    told = Told()
    with pytest.raises(Overloaded):
        await ask(new_model(), told)
    assert told.text == "Hel"
    assert len(scripted.requests) == 1


async def test_a_first_token_that_does_not_come(scripted: Any, new_model: NewModel) -> None:
    scripted.says([anyio.Event()])
    with pytest.raises(RequestTimeout):
        await ask(new_model(first_token=0.05))


async def test_a_stream_that_stalls(scripted: Any, new_model: NewModel) -> None:
    """Comments, which keep the connection alive, are not tokens."""
    scripted.says(["a", *[b": wait\n\n"] * 5, anyio.Event()])
    told = Told()
    with pytest.raises(RequestTimeout):
        await ask(new_model(next_token=0.05), told)
    assert told.text == "a"


@pytest.mark.parametrize(
    ("step", "error"),
    [
        (b"data: {nonsense\n\n", ModelFailed),
        (b"data: [1]\n\n", ModelFailed),
        (b'data: {"choices": 5}\n\n', ModelFailed),
        (b'data: {"choices": [{"delta": {"content": "\xff"}}]}\n\n', ModelFailed),
        (b"data: " + b"x" * 300_000, ModelFailed),
        (b'data: {"error": {"message": "overloaded"}}\n\n', Overloaded),
        (b'data: {"choices": []}\n\n: c\n\nevent: x\nid: 5\n\ndata:[DONE]\n\n', None),
        (b'data: {"choices": [{"delta": {"content": null}}]}\r\n\r\n', None),
    ],
    ids=["json", "array", "choices", "utf-8", "long", "error", "others", "null"],
)
async def test_what_a_stream_may_hold(
    scripted: Any, new_model: NewModel, step: bytes, error: type[Exception] | None
) -> None:
    scripted.says(["a", step])
    told = Told()
    if error is None:
        await ask(new_model(), told)
    else:
        with pytest.raises(error):
            await ask(new_model(), told)
    assert told.text == "a"


async def test_a_stream_without_end(
    scripted: Any, new_model: NewModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lbproto_chat.openai_compatible._MAX_STREAM_BYTES", 1_000)
    scripted.says(["a", b": " + b"x" * 2_000 + b"\n\n"])
    with pytest.raises(LimitExceeded):
        await ask(new_model())


async def test_one_that_was_not_entered() -> None:
    model = OpenAICompatible("http://127.0.0.1:1", "m")
    with pytest.raises(UsageError):
        async with model.stream(HELLO, max_tokens=5):
            raise NotImplementedError
