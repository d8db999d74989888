"""What the pages show: their blocks of code, and the comments beside them that tests heed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from markdown_it import MarkdownIt

__all__ = ["PAGES", "ROOT", "Block", "Included", "blocks_of", "name_of"]

ROOT = Path(__file__).parents[2]

PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("plugins/*/README.md")])

_HIDDEN = re.compile(r"<!-- (setup|check)(?: (\w+))?(?:\n|: )(.*?)\s*-->\s*\Z", re.DOTALL)
_MARK = re.compile(
    r"<!-- (file|append|until|not run): (.*?) -->\s*\Z|<!-- (numbers vary|fails|meanwhile) -->\s*\Z"
)
_INCLUDED = re.compile(r"\{literalinclude\} (\S+)\Z")


@dataclass(frozen=True, kw_only=True)
class Block:
    """A block of code, or what stands in a comment in the place of one.

    Attributes:
        page: where it is.
        line: its first line of code, from 1.
        language: in lower case; empty where it says none.
        code: with a line end behind each line.
        hidden: "setup", "check", or empty for what readers see.
        marks: what is said about it in comments before it, by their words.
    """

    page: Path
    line: int
    language: str
    code: str
    hidden: str = ""
    marks: dict[str, str] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return f"{name_of(self.page)}:{self.line}"


@dataclass(frozen=True)
class Included:
    """A file that a page shows."""

    page: Path
    path: Path


def name_of(page: Path) -> str:
    """A page's name, from the checkout's root."""
    return str(page.relative_to(ROOT))


def blocks_of(page: Path) -> Iterator[Block | Included]:
    """What a page shows, in its order.

    Raises:
        ValueError: a comment is none of those.
    """
    return _parsed(page.read_text(encoding="utf-8"), page, 0)


def _parsed(text: str, page: Path, above: int) -> Iterator[Block | Included]:
    """What a text shows that has so many lines of its page above it."""
    marks: dict[str, str] = {}
    for token in MarkdownIt().parse(text):
        line = above + (token.map or [0])[0] + 2  # behind the line that begins it
        if token.type == "html_block":
            if hidden := _HIDDEN.match(token.content):
                kind, language, code = hidden.groups()
                block = Block(
                    page=page,
                    line=line,
                    language=language or "python",
                    code=code + "\n",
                    hidden=kind,
                )
                yield block
            elif mark := _MARK.match(token.content):
                word, value, flag = mark.groups()
                marks[word or flag] = value or ""
            elif token.content.startswith("<!--"):  # misspelt, it would check nothing
                raise ValueError(f"{name_of(page)}:{line - 1}: no comment that tests know")
        elif token.type == "fence":
            language = token.info.strip()
            if included := _INCLUDED.match(language):
                yield Included(page, (page.parent / included[1]).resolve())
            elif language.startswith("{"):  # a directive, around other blocks perhaps
                yield from _parsed(token.content, page, line - 1)
            else:
                yield Block(
                    page=page, line=line, language=language, code=token.content, marks=marks
                )
                marks = {}
