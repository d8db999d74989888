"""Chat for lbproto: streamed answers over the user's own data, with any model or none."""

from lbproto_chat.answerers import Answerer, Exchange, Question, Reply
from lbproto_chat.bundled import bundled
from lbproto_chat.conversations import Conversations
from lbproto_chat.embedded import EmbeddedAnswerer
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
from lbproto_chat.model_answerer import ModelAnswerer
from lbproto_chat.models import Delta, LanguageModel, Message, ModelStream
from lbproto_chat.plugin import chat
from lbproto_chat.prices import TokenPrice
from lbproto_chat.semantic import Layer

__all__ = [
    "Answerer",
    "Chat",
    "ChatDelete",
    "ChatDeleted",
    "ChatError",
    "ChatMessage",
    "ChatResponse",
    "ChatStopTyping",
    "ChatTyping",
    "Conversations",
    "Delta",
    "EmbeddedAnswerer",
    "Exchange",
    "LanguageModel",
    "Layer",
    "Message",
    "ModelAnswerer",
    "ModelStream",
    "Question",
    "Reply",
    "TokenPrice",
    "Usage",
    "bundled",
    "chat",
]
