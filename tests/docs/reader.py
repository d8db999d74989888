"""A reader of a page, who does what it says, block by block."""

from __future__ import annotations

import ast
import contextlib
import inspect
import io
import json
import re
import sys
import tomllib
from collections.abc import Awaitable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import anyio
import httpx
from anyio.from_thread import BlockingPortal
from websockets.sync.client import connect

from lbproto import Server
from lbproto.cli.configuring import configured
from tests.contract.compiling import compile_in
from tests.docs.commands import SECONDS, Shell, commands_of
from tests.docs.outputs import fits, values
from tests.docs.pages import Block, name_of
from tests.docs.places import Places
from tests.docs.serving import serving_app
from tests.e2e.node import NODE, need_node

__all__ = ["LANGUAGES", "Reader"]


class Reader:
    """Does what the blocks of one page say.

    Args:
        folder: an empty directory, the current one.
        portal: an event loop, which lives as long as the page is read.
        places: what stands for the places that pages name.
        venv: an environment that commands install into.
    """

    def __init__(
        self, folder: Path, portal: BlockingPortal, places: Places, venv: Path | None = None
    ) -> None:
        self.folder = folder
        self.shell = Shell(folder, places, venv)
        self.printed = ""
        self._portal = portal
        self._places = places
        self._module = ModuleType("page")
        self._names = vars(self._module)
        self._python = ""
        self._js = ""
        self._names["answer_to"] = self.answer_to
        sys.modules["page"] = self._module  # where types of annotations are looked up

    def close(self) -> None:
        """End what is left of it."""
        self.shell.stop()
        del sys.modules["page"]

    def read(self, blocks: Iterable[Block]) -> None:
        """Do what the blocks of a page say.

        Raises:
            Exception: it cannot be done, or what came of it is not what the page says.
        """
        for block, behind in pairwise([*blocks, None]):
            assert block is not None
            check = behind if behind and behind.hidden == "check" else None
            try:
                self._read(block, check)
            except BaseException as error:
                error.add_note(f"in {block.place}, behind what printed\n{self.printed}")
                raise

    def _read(self, block: Block, check: Block | None) -> None:
        if not block.hidden:
            self._names["shown"] = self._places.found(block.code)
        self._names["printed"] = self.printed
        self._save(block)
        if "not run" in block.marks:
            return
        do = getattr(self, LANGUAGES.get(block.language, ""), None)
        if check and check.language in ("js", "ts"):  # they are one program
            self._js += self._places.found(block.code)
        elif check and "shown" in check.code and block.language == "text":
            pass  # it says what is to be compared with what
        elif do:
            do(block)
        else:
            assert check, f"nothing is known of {block.language!r}: a check has to use `shown`"
            assert "shown" in check.code, check.code

    def _save(self, block: Block) -> None:
        for mark, mode in (("file", "w"), ("append", "a")):
            if name := block.marks.get(mark):
                path = self.folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open(mode) as file:
                    file.write(self._places.found(block.code))

    def answer_to(self, frame: dict[str, Any], token: str = "secret") -> dict[str, Any]:  # noqa: S107 - that of the examples
        """Send a frame to the page's server, by plain WebSocket; the frame that answers it."""
        headers = {"authorization": f"Bearer {token}"}
        with self._server(), connect(self._url, additional_headers=headers) as socket:
            socket.send(json.dumps(frame))
            while True:
                told: dict[str, Any] = json.loads(socket.recv(timeout=SECONDS))
                if told.get("re") == frame["id"]:
                    told.pop("offset", None)
                    return told

    @contextlib.contextmanager
    def _server(self) -> Iterator[None]:
        """Have something listen at the page's port, where nothing does yet."""
        if self.shell.serves or not {"app", "server"} & self._names.keys():
            yield
        else:
            with self._served(self._places.port):
                yield

    @property
    def _url(self) -> str:
        return f"ws://localhost:{self._places.port}/ws"

    # Python

    def python(self, block: Block) -> None:
        code = self._places.found(block.code)
        tree = ast.parse(code)
        if not block.hidden and any(map(_is_test, tree.body)):
            self._pytest(code, block)
        before = {name: self._names.get(name) for name in ("app", "server")}
        compiled = compile(
            "\n" * (block.line - 1) + code,  # so that tracebacks have the page's lines
            f"<{name_of(block.page)}>",
            "exec",
            flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
            dont_inherit=True,
        )
        with contextlib.redirect_stdout(io.StringIO()) as out:
            if compiled.co_flags & inspect.CO_COROUTINE:
                around = None if block.hidden else self._names.get("server")
                self._portal.call(_awaited, eval(compiled, self._names), around)  # noqa: S307
            else:
                exec(compiled, self._names)  # noqa: S102
        if block.hidden != "check":
            self._python += code
        self._keep(out.getvalue(), block)
        for name, former in before.items():
            new = self._names.get(name)
            if new is not None and new is not former:
                self.shell.leave()
                with self._served(0):
                    pass
                break

    def _pytest(self, code: str, block: Block) -> None:
        tests = self.folder / f"test_{block.line}.py"
        tests.write_text(self._python + code)
        (self.folder / "conftest.py").write_text('pytest_plugins = ["lbproto.testing.fixtures"]')
        options = [
            "-q",
            "-p",
            "no:cacheprovider",
            "-W",
            "error",
            "-k",
            "not asyncio and not trio and not interleaving",
        ]
        out = self.shell.finish([sys.executable, "-m", "pytest", *options, tests.name])
        assert "passed" in out, out

    @contextlib.contextmanager
    def _served(self, port: int) -> Iterator[None]:
        """Have the page's app, or else its server, run; asked once whether it does."""
        app = self._names.get("app")
        if app is None or isinstance(app, Server):
            server = app or self._names["server"]
            assert isinstance(server, Server)
            app = server.asgi()
        with self._portal.wrap_async_context_manager(serving_app(app, port)) as bound:
            answer = httpx.get(f"http://127.0.0.1:{bound}/readyz", timeout=SECONDS)
            assert answer.status_code < 500 or b'"ready"' in answer.content, answer.text
            yield

    # Other programs

    def sh(self, block: Block) -> None:
        until, fails = block.marks.get("until"), "fails" in block.marks
        printed = ""
        for command in commands_of(block.code):
            if "meanwhile" in block.marks:
                self.shell.begin(command)
                continue
            printed += self.shell.run(command, until=until, fails=fails)
        self._keep(printed, block)

    def console(self, block: Block) -> None:
        for part in re.split(r"^\$ ", block.code, flags=re.MULTILINE)[1:]:
            command, _, expected = part.replace("\\\n", " ").partition("\n")
            self.printed = self.shell.run(command, fails="fails" in block.marks)
            if expected.strip():
                self._compare(expected, block)

    def js(self, block: Block) -> None:
        need_node()
        program = self._js + self._places.found(block.code)
        if block.hidden != "check":
            self._js = program
        if block.hidden == "setup":
            return
        if block.language == "ts":
            (self.folder / "page.ts").write_text(program)
            assert compile_in(self.folder, "page.ts") == ""
        else:
            modules = self.folder / "node_modules"
            if not modules.exists():
                modules.symlink_to(NODE / "node_modules")
            (self.folder / "package.json").write_text('{"type": "module"}')
            (self.folder / "page.js").write_text(program)
        with self._server():
            self.printed = self.shell.finish(["node", "page.js"], block.marks.get("until"))

    # Data

    def json(self, block: Block) -> None:
        self._names["shown"] = shown = list(values(block.code))
        for value in shown:
            assert isinstance(value, dict), value

    def toml(self, block: Block) -> None:
        self._names["shown"] = tomllib.loads(block.code)
        if block.marks.get("file") == "lbproto.toml":
            configured({}, self.folder / "lbproto.toml", {})

    def text(self, block: Block) -> None:
        if "meanwhile" in block.marks:
            self.printed = self.shell.ended()
        self._compare(block.code, block)

    def _keep(self, printed: str, block: Block) -> None:
        if printed or not block.hidden:
            self.printed = printed

    def _compare(self, expected: str, block: Block) -> None:
        expected = self._places.found(expected)
        told = f"{block.place} shows\n{expected}"
        assert fits(expected, self.printed, numbers_vary="numbers vary" in block.marks), told


LANGUAGES = {
    **{name: name for name in ("python", "sh", "console", "js", "json", "toml", "text")},
    "ts": "js",
}
"""Methods of `Reader`, by the languages they are for."""


def _is_test(statement: ast.stmt) -> bool:
    match statement:
        case ast.ClassDef(name=name) if name.startswith("Test"):
            return True
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return name.startswith("test_")
    return False


async def _awaited(awaitable: Awaitable[None], around: Server | None) -> None:
    """Await what a page does, within the life of its server where there is one."""
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(anyio.fail_after(SECONDS))
        if around is not None:
            await stack.enter_async_context(around.lifespan())
        await awaitable
