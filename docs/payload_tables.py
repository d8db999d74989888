"""JSON Schemas of payloads as tables: a row for each field."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from typing import Any

_Schema = dict[str, Any]

_ANYWHERE = "requestId"  # said once for all requests
_ELSEWHERE = {"ErrorCode": "[error code](../errors.md)"}  # what has a page of its own

# Words for the least and the most, and what they are of.
_BOUNDS = (
    ("minLength", "maxLength", " characters"),
    ("minItems", "maxItems", " items"),
    ("minimum", "maximum", ""),
)


class PayloadTables:
    """Writes those of one page.

    Args:
        schemas: all of the contract, by name.
        page: its name, which its targets begin with.

    Attributes:
        used: the schemas that what was written refers to, in the order in which they were.
    """

    def __init__(self, schemas: dict[str, _Schema], page: str) -> None:
        self._schemas = schemas
        self._page = page
        self.used: list[str] = []

    def table(self, name: str, published: Collection[str] | None = None) -> list[str]:
        """The fields of a schema, in Markdown.

        Args:
            name: the schema's.
            published: its fields that are not extensions; None where that is not to be told.
        """
        schema = self._schemas[name]
        required = schema.get("required", ())
        fields = {
            name: each for name, each in schema.get("properties", {}).items() if name != _ANYWHERE
        }
        if not fields:
            return ["No payload.", ""]
        rows = [("field", "type", ""), ("---", "---", "---")]
        for field, each in fields.items():
            optional = "" if field in required else "?"
            is_extension = published is not None and field not in published
            told = "; ".join(["extension"] * is_extension + self._told(each))
            rows.append((f"`{field}{optional}`", _cell(self._type(each)), _cell(told)))
        columns = 3 if any(told for _, _, told in rows[2:]) else 2
        return [*(f"| {' | '.join(row[:columns])} |" for row in rows), ""]

    def target(self, name: str) -> str:
        """Where a schema is told of."""
        return f"{self._page}-{name.lower()}"

    def _type(self, schema: Any) -> str:
        if not isinstance(schema, dict):
            return "any"
        if "$ref" in schema:
            return self._named(schema["$ref"].rpartition("/")[2])
        if "enum" in schema or "const" in schema:
            values = schema.get("enum", [schema.get("const")])
            return " or ".join(f"`{json.dumps(value, ensure_ascii=False)}`" for value in values)
        for word in ("anyOf", "oneOf"):
            if word in schema:
                return _either(map(self._type, schema[word]))
        kind = schema.get("type", "any")
        if isinstance(kind, list):
            return _either(self._type({**schema, "type": each}) for each in kind)
        if kind == "array":
            return f"list of {self._type(schema['items'])}" if "items" in schema else "list"
        if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
            return f"object of {self._type(schema['additionalProperties'])}"
        return str(kind)

    def _named(self, name: str) -> str:
        schema = self._schemas[name]
        if name in _ELSEWHERE:
            return _ELSEWHERE[name]
        if not schema.get("properties"):
            return self._type(schema)
        if name not in self.used:
            self.used.append(name)
        return f"[{name}](#{self.target(name)})"

    def _told(self, schema: Any) -> list[str]:
        if not isinstance(schema, dict):
            return []
        told = [schema["description"].rstrip(".")] if "description" in schema else []
        for part in (schema, *schema.get("anyOf", ())):
            told += _bounds(part)
        if schema.get("default") is not None:
            told.append(f"`{json.dumps(schema['default'])}` by default")
        return told


def _bounds(schema: _Schema) -> list[str]:
    told = []
    for lowest, highest, what in _BOUNDS:
        least, most = schema.get(lowest), schema.get(highest)
        if least is not None and most is not None:
            told.append(f"{least}–{most:,}{what}")
        elif least is not None:
            told.append(f"at least {least:,}{what}")
        elif most is not None:
            told.append(f"at most {most:,}{what}")
    if "pattern" in schema:
        told.append(f"`{schema['pattern']}`")
    return told


def _either(types: Iterable[str]) -> str:
    return " or ".join(dict.fromkeys(types))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
