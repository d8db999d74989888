"""Django, with a server before it: who is signed in there gets a token from a view.

uvicorn django_mount:app --app-dir examples

Post to /order/ACME, and all clients of whoever did hear of it.
"""

from secrets import token_hex

from django.conf import settings
from django.core import signing
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

from lbproto import Event, Identity, Plugin, Server, Unauthorized
from lbproto.wire import Peer

SESSIONS = {
    "MIDDLEWARE": ["django.contrib.sessions.middleware.SessionMiddleware"],
    "SESSION_ENGINE": "django.contrib.sessions.backends.signed_cookies",
}
settings.configure(ROOT_URLCONF=__name__, SECRET_KEY=token_hex(), ALLOWED_HOSTS=["*"], **SESSIONS)


class OrderPlaced(Event):
    symbol: str


class Signed:
    async def authenticate(self, token: str, peer: Peer) -> Identity:
        try:
            return Identity(signing.loads(token, salt="realtime", max_age=60))
        except signing.BadSignature:
            raise Unauthorized("the token is not one of ours, or too old") from None


plugin = Plugin("orders")
plugin.emits(OrderPlaced)
server = Server([plugin], auth=Signed())


async def sign_in(request: HttpRequest, user: str) -> JsonResponse:
    request.session["user"] = user  # yours asks for a password
    return JsonResponse({})


async def token(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"token": signing.dumps(request.session["user"], salt="realtime")})


async def place(request: HttpRequest, symbol: str) -> JsonResponse:
    mine = server.to_user(request.session["user"])
    return JsonResponse({"told": mine.emit(OrderPlaced(symbol)).queued})


urlpatterns = [path("sign-in/<user>", sign_in), path("token", token), path("order/<symbol>", place)]
app = server.asgi(fallback=get_asgi_application())  # takes /socket.io/ and /ws
