"""JSON Schemas as TypeScript types."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from importlib.resources import files
from typing import Any

from lbproto.contract.schemas import Schema, name_of

__all__ = ["CLIENT", "comment", "declaration", "identifier", "property_name"]

_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_UNFIT = re.compile(r"[^A-Za-z0-9_$]")
_PLAIN = {"string": "string", "boolean": "boolean", "null": "null"}
_NUMBERS = ("integer", "number")
_BYTES = "ArrayBuffer | Uint8Array"
# What is said of a field beside its type, in the words of JSON Schema.
_TOLD = (
    "minimum",
    "exclusiveMinimum",
    "maximum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "format",
    "minItems",
    "maxItems",
)
CLIENT = "\n".join(
    files(__package__).joinpath(name).read_text(encoding="utf-8")
    for name in ("base.ts", "client.ts")
)
"""The part of the module that is the same for every contract."""

# Names that a payload cannot have: of that part, of what is before it, and of the language.
_DECLARED = re.compile(r"^(?:export )?(?:class|const|function|interface|type) (\w+)", re.MULTILINE)
_TAKEN = frozenset(_DECLARED.findall(CLIENT)) | {
    "ClientToServerEvents",
    "RequestPayloads",
    "RoomName",
    "ServerToClientEvents",
    "contract",
    *("AbortSignal", "Array", "ArrayBuffer", "AsyncGenerator", "AsyncIterable", "Error", "Exclude"),
    *("Map", "Parameters", "Promise", "ReadonlySet", "Record", "ReturnType", "Set", "Socket"),
    *("Symbol", "Uint8Array"),
}


def identifier(name: str) -> str:
    """A schema's name as a type's."""
    fit = _UNFIT.sub("_", name)
    if fit[:1].isdigit():
        fit = f"_{fit}"
    return f"{fit}Payload" if fit in _TAKEN else fit


def property_name(name: str) -> str:
    """A field's name as an object type has it: quoted where it has to be."""
    return name if _NAME.fullmatch(name) else json.dumps(name)


def comment(paragraphs: Iterable[str], indent: str = "") -> list[str]:
    """A documentation comment of some paragraphs; nothing where there is nothing to say."""
    text = "\n\n".join(filter(None, paragraphs))
    said = [line.replace("*/", "*\\/") for line in text.splitlines()]
    if not said:
        return []
    if len(said) == 1:
        return [f"{indent}/** {said[0]} */"]
    return [f"{indent}/**", *(f"{indent} * {line}".rstrip() for line in said), f"{indent} */"]


def declaration(name: str, schema: Schema) -> list[str]:
    """A schema as an exported type with its comment, in lines."""
    about = comment([schema.get("description", "")])
    if schema.get("properties"):
        return [*about, f"export interface {identifier(name)} {{", *_fields(schema, "  "), "}"]
    return [*about, f"export type {identifier(name)} = {_type(schema)};"]


def _fields(schema: Schema, indent: str) -> list[str]:
    required = schema.get("required", ())
    lines = []
    for name, field in schema["properties"].items():
        optional = "" if name in required else "?"
        lines += comment([_about(field)], indent)
        lines.append(f"{indent}{property_name(name)}{optional}: {_type(field, indent)};")
    return lines


def _about(field: Schema) -> str:
    """What is to be said of a field, in lines."""
    told = [field["description"]] if "description" in field else []
    bounds = [f"{word} {field[word]}" for word in _TOLD if word in field]
    if bounds:
        told.append(", ".join(bounds))
    if field.get("default") is not None:
        told.append(f"@default {json.dumps(field['default'])}")
    return "\n".join(told)


def _type(schema: Any, indent: str = "") -> str:
    if not isinstance(schema, dict):
        return "never" if schema is False else "unknown"
    if "$ref" in schema:
        return identifier(name_of(schema))
    if "enum" in schema:
        return _union(json.dumps(value) for value in schema["enum"])
    if "const" in schema:
        return json.dumps(schema["const"])
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return _union(_type(each, indent) for each in schema[word])
    kind = schema.get("type")
    if isinstance(kind, list):
        return _union(_type({**schema, "type": each}, indent) for each in kind)
    if kind == "array":
        return _array(schema, indent)
    if kind == "object":
        return _object(schema, indent)
    if kind in _NUMBERS:
        return "number"
    if kind == "string" and schema.get("contentEncoding"):
        return _BYTES
    return _PLAIN.get(kind or "", "unknown")


def _union(types: Iterable[str]) -> str:
    return " | ".join(dict.fromkeys(types)) or "never"


def _array(schema: Schema, indent: str) -> str:
    places = schema.get("prefixItems")
    if places is None:
        return f"{_single(schema.get('items', True), indent)}[]"
    least = schema.get("minItems", len(places))
    shown = [
        f"{_single(each, indent)}?" if place >= least else _type(each, indent)
        for place, each in enumerate(places)
    ]
    if schema.get("items", True) is not False and "maxItems" not in schema:
        shown.append("...unknown[]")
    return f"[{', '.join(shown)}]"


def _single(schema: Any, indent: str) -> str:
    """A type that something may come behind."""
    shown = _type(schema, indent)
    return f"({shown})" if " | " in shown else shown


def _object(schema: Schema, indent: str) -> str:
    if schema.get("properties"):
        return "\n".join(["{", *_fields(schema, f"{indent}  "), f"{indent}}}"])
    if "properties" in schema:
        return "Record<string, never>"
    return f"Record<string, {_type(schema.get('additionalProperties', True), indent)}>"
