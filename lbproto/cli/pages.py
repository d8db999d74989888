"""The pages of the demo."""

from __future__ import annotations

from importlib.metadata import version

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route

from lbproto import Server
from lbproto.cli.demo import DEMO_TOKEN, TOKEN_PATTERN
from lbproto.console import ConsoleApp
from lbproto.contract import AsyncAPIApp

__all__ = ["demo_pages"]

# What comes with the plugins can be asked about at once.
_EXAMPLES = {
    "address_analysis": {
        "chain": "ethereum",
        "address": "0xbf4ed7b27f1d666546e30d74d50d173d20bca754",
    },
    "chat": {"conversationId": "console", "message": "How many trades are there per side?"},
    "cross_border_flows": {"corridor": "US-NG", "window": "P30D"},
    "demo_echo": {"text": "hello, world"},
    "query": {
        "sql": "SELECT side, count(*) AS trades, sum(amount) AS amount,"
        " min(price) AS low, max(price) AS high\nFROM trades GROUP BY side ORDER BY side"
    },
    "request_market_data": {"symbol": "ETH-USDT", "resolution": "1m"},
}


def demo_pages(server: Server, url: str) -> Starlette:
    """What the demo has beside its events: its contract and a console, for whoever asks.

    Args:
        server: what runs.
        url: where, for websockets.
    """
    told = {"title": "lbproto demo", "version": version("lbproto")}
    console = ConsoleApp(
        server, token=DEMO_TOKEN, examples=_EXAMPLES, may_watch=_shows_token, **told
    )
    return Starlette(
        routes=[
            Route("/", _to_console),
            Route("/asyncapi.json", AsyncAPIApp(server, url=url, **told)),
            Mount("/console", console),
        ]
    )


async def _to_console(_request: Request) -> Response:
    return RedirectResponse("/console/")


async def _shows_token(request: Request) -> bool:
    """Everybody may see everything here, but by no page of somebody else's: those show none."""
    token = request.headers.get("authorization", "").removeprefix("Bearer ")
    return TOKEN_PATTERN.fullmatch(token) is not None
