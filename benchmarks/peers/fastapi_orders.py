"""FastAPI with pydantic, as its documentation has it: requests over a websocket."""

from __future__ import annotations

from typing import Literal

from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from pydantic import BaseModel


class Params(BaseModel):
    symbol: str
    side: Literal["buy", "sell"]
    qty: float
    price: float


class Request(BaseModel):
    id: int
    method: str
    params: Params


class Result(BaseModel):
    order_id: str
    symbol: str
    status: str
    filled: float


class Answer(BaseModel):
    id: int
    result: Result


app = FastAPI(openapi_url=None)


@app.websocket("/")
async def orders(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        while True:
            request = Request.model_validate_json(await websocket.receive_text())
            result = Result(
                order_id="A1B2C3D4", symbol=request.params.symbol, status="accepted", filled=0.0
            )
            await websocket.send_text(Answer(id=request.id, result=result).model_dump_json())
    except WebSocketDisconnect:
        pass
