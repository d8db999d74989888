"""What goes over the wire: one question, and the turn that it becomes."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from lbproto import ErrorEvent, Event, Model

__all__ = [
    "Chat",
    "ChatDelete",
    "ChatDeleted",
    "ChatError",
    "ChatMessage",
    "ChatResponse",
    "ChatStopTyping",
    "ChatTyping",
    "Usage",
]

ConversationId = Annotated[str, Meta(min_length=1, max_length=128)]
ApplicationId = Annotated[str, Meta(min_length=1, max_length=128)]


class Chat(Event):
    """Ask something, as the next turn of a conversation; the first one begins it.

    `context` is whatever the client knows beside the question, such as what is on its screen, at
    most 16 KiB: it is data for the answer, never an instruction. `applicationId` (extension) says
    whose data are asked about.
    """

    conversation_id: ConversationId
    message: Annotated[str, Meta(min_length=1, max_length=16_000)]
    context: Any = None
    application_id: ApplicationId = "default"


class ChatTyping(Event):
    """The turn has begun; one that waits for others has not."""

    conversation_id: str


class ChatMessage(Event):
    """Some of the answer, to be appended to what came before; the last is empty and `isFinal`.

    `messageId` and `seq` are extensions: the answer that it belongs to, and its place in that from
    0 on; null in what closes an answer that was lost with its server.
    """

    conversation_id: str
    role: str
    delta: str
    is_final: bool
    message_id: str
    seq: int | None


class ChatStopTyping(Event):
    """The turn is about to end."""

    conversation_id: str


class Usage(Model):
    """Tokens of what was read, and of what was written."""

    prompt: int
    completion: int


class ChatResponse(Event):
    """The answer is whole: its tokens, and the SQL that ran for it, exactly.

    `usage` (extension) has the tokens that `tokens` adds up. Where no model was asked they are
    words.
    """

    conversation_id: str
    message_id: str
    tokens: int
    usage: Usage
    sql: str | None = None


class ChatError(ErrorEvent):
    """The turn was refused, or has failed, or was cancelled."""

    conversation_id: str


class ChatDelete(Event):
    """Forget what was said in a conversation, once the turns before this have ended."""

    conversation_id: ConversationId
    application_id: ApplicationId = "default"


class ChatDeleted(Event):
    """It is forgotten; `existed` tells whether there was anything."""

    conversation_id: str
    existed: bool
