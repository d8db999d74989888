"""Django, whose views tell clients what happens: one process serves both.

uvicorn django_mount:app --app-dir examples

Post to /orders/ACME, and whoever has subscribed to `orders` hears of it.
"""

from secrets import token_hex

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

from lbproto import Context, Event, Plugin, Server, StaticTokens

settings.configure(ROOT_URLCONF=__name__, SECRET_KEY=token_hex(), ALLOWED_HOSTS=["*"])


class OrderPlaced(Event):
    symbol: str


plugin = Plugin("orders")
plugin.emits(OrderPlaced)


@plugin.room("orders", announce=False)
async def join(ctx: Context) -> None:
    """Everyone may listen."""


server = Server([plugin], auth=StaticTokens({"secret": "alice"}))


async def place(request: HttpRequest, symbol: str) -> JsonResponse:
    receipt = server.to("orders").emit(OrderPlaced(symbol))  # in an async view: by the event loop
    return JsonResponse({"told": receipt.queued})


urlpatterns = [path("orders/<symbol>", place)]
# Takes /socket.io/ and /ws; the rest is Django's.
app = server.asgi(fallback=get_asgi_application())
