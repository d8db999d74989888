"""A live dashboard in FastAPI: the page shows the machine's load as it changes.

uvicorn dashboard:app --app-dir examples
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from lbproto import Context, Event, Plugin, Server, StaticTokens, conflate

PAGE = """<!doctype html><meta charset="utf-8"><title>Load</title>
<h1>Load: <meter max="8"></meter> <output>connecting</output></h1><script>
const socket = new WebSocket(location.href.replace(/^http/, "ws") + "ws");
const send = (event, data) => socket.send(JSON.stringify({event, data}));
socket.onopen = () => send("authenticate", {token: "secret"});
socket.onclose = () => { document.querySelector("output").value = "offline"; };
socket.onmessage = (message) => {
  const {event, data} = JSON.parse(message.data);
  if (event === "connected") send("subscribe", {room: "load"});
  if (event !== "load") return;
  document.querySelector("output").value = data.minute.toFixed(2);
  document.querySelector("meter").value = data.minute;
};</script>"""


class Load(Event):
    minute: float


@asynccontextmanager
async def measured(server: Server) -> AsyncIterator[None]:
    async def run() -> None:
        while True:
            server.to("load").emit(Load(os.getloadavg()[0]))
            await server.clock.sleep(1)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        yield
        tasks.cancel_scope.cancel()


plugin = Plugin("load", lifespan=measured)
plugin.emits(Load, overflow=conflate(lambda load: "newest"))


@plugin.room("load", announce=False)
async def join(ctx: Context) -> Load:
    return Load(os.getloadavg()[0])


api = FastAPI()
api.get("/", response_class=HTMLResponse)(lambda: PAGE)
app = Server([plugin], auth=StaticTokens({"secret": "alice"})).asgi(fallback=api)
