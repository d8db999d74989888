"""A server whose conversations are answered by a model: what `benchmarks.chat` measures.

python -m benchmarks.chat_server PORT MODEL_PORT
"""

from __future__ import annotations

import sys

import uvicorn

from lbproto import Server
from lbproto.asgi.uvicorn import WebSocketProtocol
from lbproto.testing import AnyToken
from lbproto_chat import ModelAnswerer, chat
from lbproto_chat.openai_compatible import OpenAICompatible
from lbproto_query import DuckDBEngine, bundled_catalogues


def main(port: int, model_port: int) -> None:
    """Serve until the process is ended."""
    model = OpenAICompatible(f"http://127.0.0.1:{model_port}/v1", "m")
    engine = DuckDBEngine(bundled_catalogues())  # no statement is ever run
    answerer = ModelAnswerer(model, engine, {"default": {}})
    plugin = chat(answerer, max_answer=10_000_000, resources=model)
    server = Server([plugin], auth=AnyToken())
    uvicorn.run(server.asgi(), port=port, ws=WebSocketProtocol, log_level="error", loop="uvloop")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
