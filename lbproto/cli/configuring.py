"""From a file, the environment and the command line to one `Config`, each value with its origin.

Theory of operation. `Config` is a tree of tables; its leaves have paths such as `log.level`, and
each is decoded by itself: so what is wrong with one can be told with the place it was read from.
Later sources take the place of earlier ones: defaults, file, environment, command line.
"""

from __future__ import annotations

import dataclasses
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from lbproto.cli.config import Config
from lbproto.cli.failure import Failure

__all__ = ["Configured", "Leaf", "configured", "leaves"]

_DEFAULT_FILE = "lbproto.toml"
_PREFIX = "LBPROTO_"
_FILE_VARIABLE = "LBPROTO_CONFIG"
_FROM_FILE = "_FILE"
_OPTIONS = "the command line"
_HIDDEN = "what is there"
_WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


@dataclass(frozen=True, slots=True)
class Leaf:
    """One thing that can be configured.

    Attributes:
        path: "log.level".
        type: what it has to be, for msgspec.
        default: what it is otherwise.
        secret: whether it is masked.
    """

    path: str
    type: Any
    default: Any
    secret: bool

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return _PREFIX + self.path.replace(".", "_").upper()

    @property
    def expected(self) -> str:
        """What it has to be, in words."""
        bare, metas = _bare(self.type)
        if get_origin(bare) is Literal:
            return " or ".join(repr(option) for option in get_args(bare))
        if get_origin(bare) is list:
            options = get_args(get_args(bare)[0])
            return f"a list of {', '.join(map(repr, options))}" if options else "a list"
        lower = next((meta.ge for meta in metas if meta.ge is not None), None)
        upper = next((meta.le for meta in metas if meta.le is not None), None)
        bounds = "" if lower is None else f", {lower} or more"
        if upper is not None:
            bounds = f" from {lower} to {upper}"
        return _WORDS[bare] + bounds


def _bare(annotation: Any) -> tuple[Any, list[msgspec.Meta]]:
    """A type without its annotations, and those."""
    if get_origin(annotation) is not Annotated:
        return annotation, []
    bare, *metas = get_args(annotation)
    return bare, metas


@cache
def leaves() -> dict[str, Leaf]:
    """All that can be configured, by path."""
    return {leaf.path: leaf for leaf in _leaves_of(Config(), "")}


def _leaves_of(table: Any, prefix: str) -> Iterator[Leaf]:
    for name, annotation in get_type_hints(type(table), include_extras=True).items():
        default = getattr(table, name)
        if _is_table(default):
            yield from _leaves_of(default, f"{prefix}{name}.")
        else:
            secret = any((meta.extra or {}).get("secret") for meta in _bare(annotation)[1])
            yield Leaf(f"{prefix}{name}", annotation, default, secret)


def _is_table(value: Any) -> bool:
    return isinstance(value, msgspec.Struct) or dataclasses.is_dataclass(value)


@dataclass(frozen=True, slots=True)
class Configured:
    """A configuration, and where it is from.

    Attributes:
        config: what holds.
        origins: of each path that was given, the place: a file, a variable or an option.
    """

    config: Config
    origins: Mapping[str, str]

    def given(self, path: str) -> bool:
        """Whether something was said about a leaf or a table."""
        return any(each == path or each.startswith(f"{path}.") for each in self.origins)


def configured(
    options: Mapping[str, Any],
    file: Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Configured:
    """Put a configuration together.

    Args:
        options: what the command line says, by path; None for nothing.
        file: TOML; by default what `LBPROTO_CONFIG` names, or `lbproto.toml` where there is one.
        environment: variables such as `LBPROTO_LOG_LEVEL`. A secret may also be in a file that
            `LBPROTO_..._FILE` names. What has no such name is somebody else's.

    Raises:
        Failure: something is not known, or is not what it has to be; with its place.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for path, value, origin in (
        *_from_file(file, environment),
        *_from_environment(environment),
        *_from_options(options),
    ):
        values[path], origins[path] = value, origin
    tree: dict[str, Any] = {}
    for path, value in values.items():
        *tables, name = path.split(".")
        table = tree
        for each in tables:
            table = table.setdefault(each, {})
        table[name] = value
    try:
        return Configured(msgspec.convert(tree, Config), origins)
    except msgspec.ValidationError as error:  # values that do not go together
        raise Failure(f"the configuration is not valid: {error}") from None


_Given = Iterator[tuple[str, Any, str]]


def _from_options(options: Mapping[str, Any]) -> _Given:
    for path, value in options.items():
        if value is not None:
            option = f"--{path.removeprefix('server.').replace('.', '-')}"
            yield path, _decoded(leaves()[path], value, option, strict=True), _OPTIONS


def _from_environment(environment: Mapping[str, str]) -> _Given:
    for leaf in leaves().values():
        variable = leaf.variable
        text = environment.get(variable)
        if text is None and leaf.secret and (name := environment.get(variable + _FROM_FILE)):
            variable += _FROM_FILE
            text = _read(Path(name), variable).strip()
        if text is not None:
            value: Any = text
            if get_origin(_bare(leaf.type)[0]) is list:
                value = [part.strip() for part in text.split(",") if part.strip()]
            yield leaf.path, _decoded(leaf, value, variable, strict=False), variable


def _from_file(file: Path | None, environment: Mapping[str, str]) -> _Given:
    asked_by = "--config"
    if file is None and (name := environment.get(_FILE_VARIABLE)):
        file, asked_by = Path(name), _FILE_VARIABLE
    if file is None:
        file = Path(_DEFAULT_FILE)
        if not file.is_file():
            return
    try:
        tree = tomllib.loads(_read(file, asked_by))
    except tomllib.TOMLDecodeError as error:
        raise Failure(f"{file} is not TOML: {error}") from None
    yield from _from_table(tree, "", str(file))


def _from_table(table: Mapping[str, Any], prefix: str, file: str) -> _Given:
    known = {path[len(prefix) :].partition(".")[0] for path in leaves() if path.startswith(prefix)}
    for name, value in table.items():
        path = prefix + name
        leaf = leaves().get(path)
        if leaf is not None:
            yield path, _decoded(leaf, value, f"{file}: {path}", strict=True), file
        elif name not in known:
            raise Failure(_unknown(path, prefix, known, file))
        elif not isinstance(value, dict):
            raise Failure(f"{file}: {path} is a table: write [{path}], and below it what it holds")
        else:
            yield from _from_table(value, f"{path}.", file)


def _unknown(path: str, prefix: str, known: set[str], file: str) -> str:
    name = path[len(prefix) :]
    near = get_close_matches(name, known, n=1)
    if not near:  # it may belong to another table
        near = [each for each in leaves() if each.rpartition(".")[2] == name][:1]
        return f"{file}: there is no {path}: " + (
            f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(known))}"
        )
    return f"{file}: there is no {path}: did you mean {prefix}{near[0]}?"


def _decoded(leaf: Leaf, value: Any, where: str, *, strict: bool) -> Any:
    try:
        found = msgspec.convert(value, leaf.type, strict=strict)
        if isinstance(found, float) and not isfinite(found):  # JSON has none, nor any clock
            raise ValueError
        return found
    except (msgspec.ValidationError, ValueError):
        shown = _HIDDEN if leaf.secret else repr(value)
        raise Failure(f"{where} has to be {leaf.expected}, not {shown}{_hint(value)}") from None


def _hint(value: Any) -> str:
    if isinstance(value, str) and value.startswith("tcp://"):  # as in LBPROTO_PORT
        return ": Kubernetes sets this for a service of that name, unless enableServiceLinks: false"
    return ""


def _read(file: Path, asked_by: str) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise Failure(f"{asked_by}: cannot read {file}: {reason}") from None
