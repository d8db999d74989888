"""picows, a websocket server in Cython, on uvloop; `... picows_rooms PORT`."""

from __future__ import annotations

import sys
from collections import defaultdict

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server

from benchmarks.peers.orders import answer_bytes
from benchmarks.peers.payload import text

rooms: defaultdict[str, set[WSTransport]] = defaultdict(set)


class Connection(WSListener):
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()
        elif frame.msg_type == WSMsgType.TEXT:
            self._serve(frame.get_payload_as_utf8_text(), transport)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        for members in rooms.values():
            members.discard(transport)

    def _serve(self, asked: str, transport: WSTransport) -> None:
        if asked[0] == "S":
            rooms[asked[2:]].add(transport)
            transport.send(WSMsgType.TEXT, b"OK")
        elif asked[0] == "P":
            _, room, count, size = asked.split()
            for _ in range(int(count)):
                message = text(int(size)).encode()
                for member in rooms[room]:
                    member.send(WSMsgType.TEXT, message)
        else:
            transport.send(WSMsgType.TEXT, answer_bytes(asked))


async def main() -> None:
    port = int(sys.argv[1])
    server = await ws_create_server(lambda _: Connection(), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
