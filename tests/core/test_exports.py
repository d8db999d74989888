"""The facade: what is public is complete, documented, typed, and cheap to import."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import lbproto

ROOT = Path(lbproto.__file__).parent
FACADES = [
    "lbproto",
    "lbproto.client",
    "lbproto.wire",
    "lbproto.asgi",
    "lbproto.simulator",
    "lbproto.testing",
    "lbproto.load",
    "lbproto.logging",
    "lbproto.recorder",
]
PAGES = sorted((ROOT.parent / "docs" / "reference" / "api").glob("*.md"))
REFERENCE = [
    name for page in PAGES for name in re.findall(r"automodule:: ([\w.]+)", page.read_text())
]
SOURCES = sorted(ROOT.rglob("*.py"))

facades = pytest.mark.parametrize("name", FACADES)
sources = pytest.mark.parametrize(
    "path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix()
)


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def documented_names(module: ast.Module) -> set[str]:
    """What is defined at the top of a module with a docstring of its own."""
    names = set()
    for node, following in zip(module.body, [*module.body[1:], None], strict=True):
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                if ast.get_docstring(node):
                    names.add(node.name)
            case ast.Assign(targets=[ast.Name(id=name)]):
                match following:
                    case ast.Expr(value=ast.Constant(value=str())):
                        names.add(name)
    return names


DOCUMENTED = set().union(*(documented_names(tree(path)) for path in SOURCES))


@facades
def test_all_is_without_repetition(name: str) -> None:
    module = importlib.import_module(name)
    assert len(module.__all__) == len(set(module.__all__))


@facades
def test_all_is_complete(name: str) -> None:
    module = importlib.import_module(name)
    public = {
        key
        for key, value in vars(module).items()
        if not key.startswith("_") and key != "annotations" and not isinstance(value, ModuleType)
    }
    assert public == set(module.__all__)


@sources
def test_what_is_taken_from_another_module_is_offered_there(path: Path) -> None:
    taken = [
        (node.module, alias.name)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] == "lbproto"
        for alias in node.names
    ]
    for module, name in taken:
        offered = getattr(importlib.import_module(str(module)), "__all__", ())
        is_module = (ROOT.parent / str(module).replace(".", "/") / f"{name}.py").exists()
        assert name in offered or is_module, f"{name} is not in the __all__ of {module}"


def test_every_facade_is_in_the_reference() -> None:
    assert set(FACADES) <= set(REFERENCE)


@pytest.mark.parametrize("name", REFERENCE)
def test_every_public_name_has_a_docstring(name: str) -> None:
    module = importlib.import_module(name)
    assert [public for public in module.__all__ if public not in DOCUMENTED] == []


@sources
def test_every_module_says_what_it_is(path: Path) -> None:
    docstring = ast.get_docstring(tree(path))
    assert docstring is not None
    assert docstring.splitlines()[0].endswith((".", ":", "?"))


@sources
def test_no_file_is_long(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def test_types_are_shipped() -> None:
    assert (ROOT / "py.typed").is_file()


def test_importing_it_imports_nothing_that_it_only_may_use() -> None:
    code = (
        "import sys, lbproto, lbproto.wire, lbproto.asgi, lbproto.backends.memory\n"
        "import lbproto.testing, lbproto.load\n"
        "optional = {'typer', 'rich', 'uvicorn', 'duckdb', 'redis', 'trio', 'pytest',\n"
        "  'websockets'}\n"
        "print(*optional & set(sys.modules))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=180
    )
    assert run.stdout.split() == []


def test_every_error_code_has_its_class_in_the_facade() -> None:
    errors = {
        value.code
        for value in vars(lbproto).values()
        if isinstance(value, type)
        and issubclass(value, lbproto.RequestError)
        and value is not lbproto.RequestError
    }
    assert errors == set(lbproto.ErrorCode)
