"""The cases of Engine.IO that both public protocol suites have, in our own words."""

from __future__ import annotations

import anyio
import pytest

from tests.wire.clients import PATIENCE, WebSocket, Where

__all__ = ["EngineIOCases"]

OPEN_KEYS = {"sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"}


class EngineIOCases:
    """16 cases.

    Attributes:
        greeting: a message that the server answers, and how the answer begins.
    """

    greeting: tuple[str, str]

    async def greet(self, websocket: WebSocket) -> None:
        """The websocket is the session's now, and lives."""
        said, answer = self.greeting
        assert str(await websocket.ask(said)).startswith(answer)

    async def test_polling_opens_a_session(self, where: Where) -> None:
        opened = await where.handshake()
        assert opened.keys() == OPEN_KEYS
        assert isinstance(opened["sid"], str)
        assert opened["upgrades"] == ["websocket"]
        assert (opened["pingInterval"], opened["pingTimeout"]) == (25_000, 20_000)
        assert opened["maxPayload"] == 1_000_000

    @pytest.mark.parametrize("query", [{}, {"EIO": "abc"}], ids=["missing", "unknown"])
    async def test_polling_needs_a_version(self, where: Where, query: dict[str, str]) -> None:
        status, _ = await where.request("GET", "", transport="polling", **query)
        assert status == 400

    @pytest.mark.parametrize("query", [{}, {"transport": "abc"}], ids=["missing", "unknown"])
    async def test_polling_needs_a_transport(self, where: Where, query: dict[str, str]) -> None:
        status, _ = await where.request("GET", "", EIO="4", **query)
        assert status == 400

    @pytest.mark.parametrize("method", ["POST", "PUT"])
    async def test_polling_is_opened_by_get_only(self, where: Where, method: str) -> None:
        status, _ = await where.request(method, EIO="4", transport="polling")
        assert status == 400

    async def test_a_websocket_opens_a_session(self, where: Where) -> None:
        async with where.websocket(EIO="4", transport="websocket") as websocket:
            handshake = str(await websocket.receive())
            assert handshake.startswith('0{"sid":"')
            for promise in (
                '"upgrades":[]',
                '"pingInterval":25000',
                '"pingTimeout":20000',
                '"maxPayload":1000000',
            ):
                assert promise in handshake

    @pytest.mark.parametrize("query", [{}, {"EIO": "abc"}], ids=["missing", "unknown"])
    async def test_a_websocket_needs_a_version(self, where: Where, query: dict[str, str]) -> None:
        assert await where.refuses(transport="websocket", **query)

    @pytest.mark.parametrize("query", [{}, {"transport": "abc"}], ids=["missing", "unknown"])
    async def test_a_websocket_needs_a_transport(self, where: Where, query: dict[str, str]) -> None:
        assert await where.refuses(EIO="4", **query)

    async def test_signs_of_life(self, where: Where) -> None:
        """Four cases that mostly wait, at the same time."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.polling_is_asked_for_signs_of_life, where.under("/asking"))
            tasks.start_soon(self.polling_without_a_sign_of_life_is_over, where.under("/hasty"))
            tasks.start_soon(self.a_websocket_is_asked_for_signs_of_life, where.under("/asking"))
            tasks.start_soon(self.a_websocket_without_a_sign_of_life_is_over, where.under("/hasty"))

    async def polling_is_asked_for_signs_of_life(self, where: Where) -> None:
        sid = await where.session()
        for _ in range(3):
            assert await where.poll(sid) == (200, "2")
            assert await where.post(sid, "3") == (200, "ok")

    async def polling_without_a_sign_of_life_is_over(self, where: Where) -> None:
        sid = await where.session()
        await anyio.sleep(0.5)  # longer than it may go without a sign of life
        with anyio.fail_after(PATIENCE):
            while (await where.poll(sid))[0] == 200:
                pass  # the server was held up itself, and gives it more time
        assert (await where.poll(sid))[0] == 400

    async def a_websocket_is_asked_for_signs_of_life(self, where: Where) -> None:
        async with where.opened() as websocket:
            for _ in range(3):
                assert await websocket.receive() == "2"
                await websocket.send("3")

    async def a_websocket_without_a_sign_of_life_is_over(self, where: Where) -> None:
        async with where.opened() as websocket:
            assert await websocket.is_closed(answering=False)

    async def test_polling_is_closed_by_the_client(self, where: Where) -> None:
        sid, answer = "", (400, "")
        for pause in (0.1, 1.0, 10.0):  # so that the poll waits, be the machine busy or not
            sid = await where.session()
            answer = await self.polled_while_closed(where, sid, pause)
            if answer[0] == 200:
                break
        assert answer == (200, "6")
        assert (await where.poll(sid))[0] == 400

    async def polled_while_closed(self, where: Where, sid: str, pause: float) -> tuple[int, str]:
        answers: list[tuple[int, str]] = []

        async def poll() -> None:
            answers.append(await where.poll(sid))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(poll)
            await anyio.sleep(pause)  # the poll is to wait by then: see the pauses
            assert (await where.post(sid, "1"))[0] == 200
        return answers[0]

    async def test_a_websocket_is_closed_by_the_client(self, where: Where) -> None:
        async with where.opened() as websocket:
            await websocket.send("1")
            assert await websocket.is_closed()

    async def test_polling_is_upgraded(self, where: Where) -> None:
        sid = await where.session()
        async with where.upgrading(sid) as websocket:
            assert await where.poll(sid) == (200, "6")  # so that the client can stop polling
            await websocket.send("5")
            await self.greet(websocket)

    async def test_an_upgraded_session_ignores_http(self, where: Where) -> None:
        sid = await where.session()
        async with where.upgrading(sid) as websocket:
            await websocket.send("5")
            assert (await where.poll(sid))[0] == 400
            await self.greet(websocket)

    async def test_an_upgraded_session_ignores_other_websockets(self, where: Where) -> None:
        sid = await where.session()
        async with where.upgrading(sid) as websocket:
            await websocket.send("5")
            async with where.websocket(EIO="4", transport="websocket", sid=sid) as second:
                assert await second.is_closed()
            await self.greet(websocket)
