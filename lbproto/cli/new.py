"""`lbproto new`: the start of a distribution of one's own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath
from typing import Annotated

import typer
from rich.tree import Tree

from lbproto.cli.failure import Failure
from lbproto.cli.show import output
from lbproto.events import event_name

__all__ = ["commands"]

commands = typer.Typer(no_args_is_help=True, help="Write the start of something of your own.")

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", re.ASCII)
_MAX_NAME_LENGTH = 18
_OWN = frozenset({"chat", "compliance", "credits", "market", "query", "system"})
_SUFFIX = ".tmpl"
_NEXT = (
    "pip install 'pip>=25.1'",  # older ones know no groups, and Python 3.11 comes with one
    "pip install -e . --group dev",
    "pytest",
    "ruff check",
    "mypy",
    "lbproto demo",
)


@commands.callback()
def _new() -> None:
    """Write the start of something of your own."""


@commands.command()
def plugin(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name, such as `notes`.")],
    into: Annotated[
        Path, typer.Option(metavar="DIR", help="Where its folder is made; by default here.")
    ] = Path(),
) -> None:
    """Write a plugin: a distribution with tests, that passes them as it is."""
    _check(name)
    folder = into / f"lbproto-{name}"
    if not into.is_dir():
        raise Failure(f"there is no folder {into}: make it first, or leave --into out")
    try:
        folder.mkdir()
        written = sorted(_write(folder, _words(name)))
    except FileExistsError:
        raise Failure(f"{folder} is there already: take another name, or remove it") from None
    except OSError as error:
        raise Failure(f"{folder} cannot be written: {error.strerror}") from None
    console = output()
    console.print(_tree(folder, written))
    console.print("\nNext:", f"  cd {folder}", *(f"  {each}" for each in _NEXT), sep="\n")


def _check(name: str) -> None:
    """Whether a distribution, a package, a class and rooms can be named so.

    Raises:
        Failure: they cannot.
    """
    bare = name.removeprefix("lbproto-")
    if name != bare and _NAME.fullmatch(bare):
        raise Failure(f"leave the prefix out: lbproto new plugin {bare}")
    if not _NAME.fullmatch(name) or len(name) > _MAX_NAME_LENGTH:
        raise Failure(
            f"{name[:80]!r} names no plugin: write lower-case letters, digits and single hyphens, "
            f"at most {_MAX_NAME_LENGTH}, beginning with a letter, such as order-book"
        )
    if name in _OWN:
        raise Failure(f"lbproto has a plugin {name!r} itself: take another name")


def _words(name: str) -> dict[str, str]:
    """What stands for each placeholder of the templates."""
    parts = name.split("-")
    class_ = "".join(map(str.capitalize, parts))
    return {
        "name": name,
        "distribution": f"lbproto-{name}",
        "package": f"lbproto_{'_'.join(parts)}",
        "Class": class_,
        "event": event_name(f"{class_}Add").removesuffix("_add"),
        "title": " ".join(parts).capitalize(),
        "bounds": _bounds(version("lbproto")),
    }


def _bounds(release: str) -> str:
    """The versions that promise to run what is written for this one."""
    major, minor = map(int, release.split(".")[:2])
    return f">=0.{minor},<0.{minor + 1}" if major == 0 else f">={major}.{minor},<{major + 1}"


def _write(folder: Path, words: dict[str, str]) -> Iterator[PurePosixPath]:
    """Fill in each template; the paths written, beneath the folder."""
    template = files("lbproto.cli") / "templates" / "plugin"
    for path, file in _files(template, PurePosixPath()):
        text = file.read_text(encoding="utf-8")
        for word, value in words.items():
            text = text.replace(f"{{{{{word}}}}}", value)
        parts = [words["package"] if part == "package" else part for part in path.parts]
        target = PurePosixPath(*parts)
        (folder / target).parent.mkdir(parents=True, exist_ok=True)
        (folder / target).write_text(text, encoding="utf-8")
        yield target


def _files(
    template: Traversable, path: PurePosixPath
) -> Iterator[tuple[PurePosixPath, Traversable]]:
    for each in template.iterdir():
        if each.is_dir():
            yield from _files(each, path / each.name)
        elif each.name.endswith(_SUFFIX):
            yield path / each.name.removesuffix(_SUFFIX), each


def _tree(folder: Path, written: list[PurePosixPath]) -> Tree:
    tree = Tree(f"{folder}/")
    branches: dict[PurePosixPath, Tree] = {PurePosixPath(): tree}
    for path in sorted(written, key=lambda path: (len(path.parts) == 1, path)):
        if path.parent not in branches:
            branches[path.parent] = tree.add(f"{path.parent}/")
        branches[path.parent].add(path.name)
    return tree
