"""Turns as clients see them: told in order, ended once, paid for by what was delivered."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from lbproto import Event, LimitExceeded, Server
from lbproto.messages import Cancel, ValidationError
from lbproto.testing import Client, VirtualClock, connect, serve, settle
from lbproto_chat import (
    Chat,
    ChatDelete,
    ChatDeleted,
    ChatError,
    ChatMessage,
    ChatResponse,
    ChatStopTyping,
    ChatTyping,
    Conversations,
    Question,
    Reply,
    Usage,
    chat,
)

pytestmark = pytest.mark.anyio

Speak = Callable[[Question, Reply], Awaitable[None]]


class Speaker:
    """An answerer that does what the test has it do.

    Attributes:
        speak: that.
        asked: the questions that have come.
        stopped: how many answers have come to an end.
    """

    def __init__(self, speak: Speak) -> None:
        self.speak = speak
        self.asked: list[Question] = []
        self.stopped = 0

    async def answer(self, question: Question, reply: Reply) -> None:
        self.asked.append(question)
        try:
            await self.speak(question, reply)
        finally:
            self.stopped += 1


@asynccontextmanager
async def talking(speak: Speak, **options: Any) -> AsyncIterator[tuple[Server, Client, Speaker]]:
    """A server, a client of it, and who answers."""
    own = ("conversations", "price", "max_answer", "timeout")
    speaker = Speaker(speak)
    plugin = chat(speaker, **{name: options.pop(name) for name in own if name in options})
    async with serve(plugin, **options) as server, connect(server, "ada") as client:
        yield server, client, speaker


async def hello(question: Question, reply: Reply) -> None:
    """Two parts."""
    await reply.say("Hello ")
    await anyio.lowlevel.checkpoint()
    await reply.say("Ada")


async def echo(question: Question, reply: Reply) -> None:
    await reply.say(f"You said {question.text}")


async def silence(question: Question, reply: Reply) -> None:
    """Nothing to say."""


async def for_ever(question: Question, reply: Reply) -> None:
    await reply.say("one two three four")
    await anyio.sleep_forever()


def ask(message: str = "Hi", conversation_id: str = "c", **more: Any) -> Chat:
    return Chat(conversation_id=conversation_id, message=message, **more)


def text_of(told: list[Event]) -> str:
    """The deltas together; what their order and their end have to be is seen to."""
    messages = [event for event in told if isinstance(event, ChatMessage)]
    assert [message.seq for message in messages] == list(range(len(messages)))
    assert [message.is_final for message in messages] == [not message.delta for message in messages]
    assert messages[-1].is_final
    assert len({message.message_id for message in messages}) == 1
    return "".join(message.delta for message in messages)


async def end(client: Client, ends: int = 1) -> list[Event]:
    """What comes, up to so many ends of turns."""
    told: list[Event] = []
    for _ in range(50):
        told += await client.take()
        if sum(isinstance(event, ChatResponse | ChatError) for event in told) >= ends:
            return told
    raise AssertionError(told)


@pytest.mark.parametrize(
    "wire", ["socketio-json", "socketio-msgpack", "plain-json", "plain-msgpack"]
)
async def test_a_turn_in_order(wire: Any) -> None:
    async def speak(question: Question, reply: Reply) -> None:
        await hello(question, reply)
        reply.ran("SELECT 1")
        reply.used(3, 2)
        reply.used(4, 1)

    async with serve(chat(Speaker(speak))) as server, connect(server, "ada", wire=wire) as client:
        client.emit(ask())
        told = await end(client)
    assert isinstance(told[0], ChatTyping)
    assert text_of(told) == "Hello Ada"
    stop, response = told[-2:]
    assert stop == ChatStopTyping(conversation_id="c")
    assert isinstance(response, ChatResponse)
    assert (response.tokens, response.usage, response.sql) == (10, Usage(7, 3), "SELECT 1")
    last = told[-3]
    assert isinstance(last, ChatMessage)
    assert (last.role, last.message_id) == ("assistant", response.message_id)


async def test_the_first_event_is_the_acknowledgement() -> None:
    async with talking(hello) as (_, client, _):
        assert await client.request(ask(), ChatTyping) == ChatTyping(conversation_id="c")
        await end(client)


async def test_an_answer_of_nothing_is_an_empty_message() -> None:
    async with talking(silence) as (_, client, _):
        client.emit(ask("four five"))
        told = await end(client)
    assert [type(event) for event in told] == [
        ChatTyping,
        ChatMessage,
        ChatStopTyping,
        ChatResponse,
    ]
    assert text_of(told) == ""
    assert isinstance(told[-1], ChatResponse)
    assert told[-1].usage == Usage(3, 0)


async def test_a_failure_comes_after_what_was_said() -> None:
    async def speak(question: Question, reply: Reply) -> None:
        await reply.say("Well")
        raise LimitExceeded("too much")

    async with talking(speak) as (_, client, _):
        client.emit(ask())
        told = await end(client)
    assert text_of(told) == "Well"
    stop, error = told[-2:]
    assert isinstance(stop, ChatStopTyping)
    assert isinstance(error, ChatError)
    assert (error.conversation_id, error.code, error.message) == ("c", "LIMIT_EXCEEDED", "too much")


@pytest.mark.parametrize("by", ["conversation", "message"])
async def test_cancelled_it_ends_at_once_and_the_answerer_stops(by: str) -> None:
    async with talking(for_ever) as (_, client, speaker):
        client.emit(ask())
        message = await client.expect(ChatMessage)
        client.emit(Cancel(id="c" if by == "conversation" else message.message_id))
        told = [message, *await end(client)]
        assert text_of(told) == "one two three four"
        assert isinstance(told[-2], ChatStopTyping)
        assert isinstance(told[-1], ChatError)
        assert told[-1].code == "CANCELLED"
        await settle()
        assert speaker.stopped == 1


async def test_it_takes_only_so_long() -> None:
    async with talking(for_ever, timeout=10) as (_, client, _):
        client.emit(ask())
        error = await client.expect(ChatError, timeout=10)
        assert error.code == "TIMEOUT"
        await client.take()


async def test_an_answer_has_an_end() -> None:
    async def speak(question: Question, reply: Reply) -> None:
        while True:
            await reply.say("more " * 10)

    async with talking(speak, max_answer=1_000) as (_, client, _):
        client.emit(ask())
        told = await end(client)
    assert len(text_of(told)) == 1_000
    assert isinstance(told[-1], ChatError)
    assert told[-1].code == "LIMIT_EXCEEDED"


async def test_turns_of_a_conversation_go_one_at_a_time() -> None:
    release = anyio.Event()

    async def speak(question: Question, reply: Reply) -> None:
        await release.wait()
        await echo(question, reply)

    async with talking(speak) as (_, client, speaker):
        for number in range(5):
            client.emit(ask(str(number)))
        client.emit(ask("other", "d"))
        await settle()
        assert sorted(question.text for question in speaker.asked) == ["0", "other"]
        release.set()
        told = await end(client, 6)
    errors = [event for event in told if isinstance(event, ChatError)]
    assert [error.code for error in errors] == ["OVERLOADED"]
    said = [event for event in told if isinstance(event, ChatMessage) and event.delta]
    assert [each.delta for each in said if each.conversation_id == "c"] == [
        f"You said {number}" for number in range(4)
    ]


async def test_what_was_said_is_remembered_and_forgotten() -> None:
    async with talking(echo) as (_, client, speaker):
        for text in ("one", "two"):
            client.emit(ask(text, context={"screen": 5}))
            await end(client)
        client.emit(ask("three", "d"))
        await end(client)
        histories = [[each.question for each in asked.history] for asked in speaker.asked]
        assert histories == [[], ["one"], []]
        assert speaker.asked[1].history[0].answer == "You said one"
        assert speaker.asked[1].context == {"screen": 5}
        for existed in (True, False):
            answer = await client.request(ChatDelete(conversation_id="c"), ChatDeleted)
            assert answer.existed is existed
        client.emit(ask("four"))
        await end(client)
        assert speaker.asked[-1].history == ()


async def test_another_users_conversation_of_that_name_is_another_one() -> None:
    async with talking(echo) as (server, ada, speaker), connect(server, "bob") as bob:
        ada.emit(ask("mine"))
        await end(ada)
        assert not (await bob.request(ChatDelete(conversation_id="c"), ChatDeleted)).existed
        bob.emit(ask("hers?"))
        await end(bob)
        assert speaker.asked[-1].history == ()
        refused = await bob.request(Cancel(id="c"))
        assert refused is not None


async def test_only_the_newest_turns_are_remembered() -> None:
    async with talking(echo, conversations=Conversations(window=60)) as (_, client, speaker):
        for number in range(8):
            client.emit(ask(f"{number} " + "word " * 8))
            await end(client)
    assert [each.question[0] for each in speaker.asked[-1].history] == ["5", "6"]


async def test_a_conversation_is_not_kept_for_ever() -> None:
    clock = VirtualClock()
    kept = Conversations(retention=3_600)
    async with talking(echo, conversations=kept, clock=clock) as (_, client, speaker):
        for wait in (0, 3_000, 4_000):
            await clock.advance(wait)
            client.emit(ask("again"))
            await end(client)
    assert [len(asked.history) for asked in speaker.asked] == [0, 1, 0]


async def test_a_cancelled_turn_is_remembered_as_far_as_it_came() -> None:
    async with talking(for_ever) as (_, client, speaker):
        client.emit(ask())
        await client.expect(ChatMessage)
        client.emit(Cancel(id="c"))
        await end(client)
        client.emit(ask())
        await settle()
        assert [each.answer for each in speaker.asked[-1].history] == ["one two three four"]
        client.emit(Cancel(id="c"))
        await end(client)


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"conversationId": "c"},
        {"conversationId": "", "message": "hi"},
        {"conversationId": "c" * 129, "message": "hi"},
        {"conversationId": "c", "message": ""},
        {"conversationId": "c", "message": "x" * 16_001},
        {"conversationId": "c", "message": 5},
        {"conversationId": 5, "message": "hi"},
    ],
)
async def test_what_is_no_question(payload: dict[str, Any]) -> None:
    async with talking(echo) as (_, client, speaker):
        client.emit({"event": "chat", "data": payload})
        await client.expect(ValidationError, code="INVALID_REQUEST")
        assert speaker.asked == []


@pytest.mark.parametrize(
    ("context", "given"),
    [({"at": b"\xff"}, {"at": "/w=="}), ({1: [None, 2.5]}, {"1": [None, 2.5]}), ({None: 1}, None)],
    ids=["bytes", "keys", "no JSON"],
)
async def test_a_context_is_what_json_can_hold(context: Any, given: Any) -> None:
    speaker = Speaker(echo)
    async with (
        serve(chat(speaker)) as server,
        connect(server, "ada", wire="plain-msgpack") as client,
    ):
        client.emit(ask(context=context))
        told = await end(client)
    if given is None:
        assert isinstance(told[-1], ChatError)
        assert told[-1].code == "INVALID_REQUEST"
    assert [question.context for question in speaker.asked] == ([given] if given else [])


async def test_too_much_context_and_another_application() -> None:
    async with talking(echo) as (_, client, speaker):
        client.emit(ask(context=["x" * 1_000] * 20))
        assert (await client.expect(ChatError)).code == "INVALID_REQUEST"
        client.emit(ask(application_id="bank"))
        assert (await client.expect(ChatError)).code == "UNAUTHORIZED"
        await client.take()
        assert speaker.asked == []


async def test_whoever_does_not_read_gets_larger_deltas() -> None:
    words = [f"word {number} " for number in range(2_000)]

    async def speak(question: Question, reply: Reply) -> None:
        for word in words:
            await reply.say(word)
            await anyio.lowlevel.checkpoint()

    async with talking(speak) as (server, client, _):
        client.pause()
        client.emit(ask())
        await settle()
        assert server.statistics().outboxes.queued_frames < 30
        client.resume_reading()
        told = await end(client)
    assert text_of(told) == "".join(words)
    deltas = [event.delta for event in told if isinstance(event, ChatMessage)]
    assert max(map(len, deltas)) > 1_000
    assert len(deltas) < 1_000


async def test_an_answerer_waits_for_whoever_does_not_read() -> None:
    parts = 0

    async def speak(question: Question, reply: Reply) -> None:
        nonlocal parts
        while parts < 10_000:
            await reply.say("ten chars ")
            parts += 1

    async with talking(speak) as (_, client, _):
        client.pause()
        client.emit(ask())
        await settle()
        assert parts < 5_000
        client.resume_reading()
        assert len(text_of(await end(client))) == 100_000
