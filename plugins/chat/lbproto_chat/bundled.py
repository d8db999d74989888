"""Chat about the data that come with the query plugin."""

from __future__ import annotations

from lbproto import Plugin
from lbproto_chat.embedded import EmbeddedAnswerer
from lbproto_chat.plugin import chat
from lbproto_chat.semantic import Layer
from lbproto_query import DuckDBEngine, bundled_catalogues

__all__ = ["bundled"]


def bundled() -> Plugin:
    """Chat about the query plugin's tables, without a model, for trying out."""
    catalogues = bundled_catalogues()
    engine = DuckDBEngine(catalogues)
    layer = catalogues.find("default").files[0].with_name("layer.toml")
    answerer = EmbeddedAnswerer(engine, {"default": Layer.load(layer)})
    return chat(answerer, resources=engine)
