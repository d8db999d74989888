"""Answers without a model: questions read by a declared layer, and answered by queries."""

from lbproto_chat.semantic.answerer import Answer, Run, SemanticAnswerer
from lbproto_chat.semantic.layer import Layer
from lbproto_chat.semantic.reading import Ambiguous, Outside, Reader, Reading

__all__ = [
    "Ambiguous",
    "Answer",
    "Layer",
    "Outside",
    "Reader",
    "Reading",
    "Run",
    "SemanticAnswerer",
]
