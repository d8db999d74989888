"""Every block of code in the pages runs; how, says docs/how-to/develop.md.

The tutorial is followed by a test of its own.
"""

from __future__ import annotations

import ast
import gc
import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from textwrap import dedent

import pytest
from anyio.from_thread import start_blocking_portal

from tests.cli.commands import Running, running
from tests.docs.commands import ELSEWHERE, commands_of, excused_by
from tests.docs.pages import PAGES, ROOT, Block, Included, blocks_of, name_of
from tests.docs.places import LESS, Places
from tests.docs.reader import Reader

CODE = {
    name_of(page): [each for each in blocks_of(page) if isinstance(each, Block)] for page in PAGES
}
PACKAGES = {"lbproto", *(folder.name for folder in ROOT.glob("plugins/*/lbproto_*"))}


@pytest.fixture(scope="module")
def demo() -> Iterator[Running]:
    """The demo, once a page asks for it."""
    with running("demo") as server:
        yield server


@pytest.fixture
def as_before() -> Iterator[None]:
    """What a page does to its process is undone."""
    logger = logging.getLogger("lbproto")
    handlers, thresholds, modules = logger.handlers[:], gc.get_threshold(), set(sys.modules)
    yield
    logger.handlers[:] = handlers
    gc.unfreeze()
    gc.set_threshold(*thresholds)
    for name in sys.modules.keys() - modules:  # files of the page
        if (Path.cwd() / f"{name}.py").exists():
            del sys.modules[name]


@pytest.fixture
def reader(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    as_before: None,
    request: pytest.FixtureRequest,
) -> Iterator[Reader]:
    folder = tmp_path / "page"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    monkeypatch.syspath_prepend(str(folder))
    with ExitStack() as stack, start_blocking_portal("asyncio") as portal:
        places = Places(folder, stack, lambda: request.getfixturevalue("demo").port)
        reader = Reader(folder, portal, places)
        stack.callback(reader.close)
        yield reader


@pytest.mark.parametrize(
    "page", [page for page, blocks in CODE.items() if blocks and "/tutorial/" not in page]
)
def test_its_code_runs(page: str, reader: Reader) -> None:
    failed = ""
    try:
        reader.read(CODE[page])
    except Exception as error:  # noqa: BLE001 - it is told by the lines of the page
        failed = "".join(traceback.format_exception(error))
    if failed:
        pytest.fail(failed, pytrace=False)


def test_readers_are_shown_nothing_that_is_not_public() -> None:
    taken = [
        (block.place, str(node.module), name.name)
        for blocks in CODE.values()
        for block in blocks
        if block.language == "python" and not block.hidden
        for node in ast.walk(ast.parse(dedent(block.code)))
        if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] in PACKAGES
        for name in node.names
    ]
    assert len(taken) > 100
    hidden = [each for each in taken if each[2] not in import_module(each[1]).__all__]
    assert hidden == []


def test_few_blocks_are_not_run() -> None:
    why = {
        block.place: block.marks["not run"]
        for blocks in CODE.values()
        for block in blocks
        if "not run" in block.marks
    }
    print(*(f"{place}  {reason}" for place, reason in why.items()), sep="\n")
    assert all(why.values())
    assert len(why) <= 6


def test_what_is_passed_over_or_shortened_is_there() -> None:
    commands = [
        part
        for blocks in CODE.values()
        for block in blocks
        if block.language in ("sh", "console")
        for line in commands_of(block.code.replace("$ ", ""))
        for part in line.split(" && ")
    ]
    assert ELSEWHERE.keys() == set(map(excused_by, commands)) - {None}
    code = "".join(block.code for blocks in CODE.values() for block in blocks)
    assert [each for each in LESS if each not in code] == []


def test_files_that_pages_show_are_examples() -> None:
    # tests/examples runs those.
    shown = {each.path for page in PAGES for each in blocks_of(page) if isinstance(each, Included)}
    assert shown
    assert [path for path in shown if path not in (ROOT / "examples").glob("**/*")] == []
