"""Values that fit a JSON Schema as lbproto writes it, and values that do not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lbproto.contract.schemas import Schema, name_of

__all__ = ["Unsampled", "malformed", "sample"]

_FORMATS = {
    "date": "2026-01-20",
    "date-time": "2026-01-20T12:00:00Z",
    "duration": "PT1H",
    "time": "12:00:00",
    "uuid": "123e4567-e89b-42d3-a456-426614174000",
}
_DEEPEST = 8
_MISFITS: tuple[Any, ...] = (
    None,
    True,
    -1,
    1.5,
    2**63,
    "",
    "\0",
    "x" * 10_000,
    [],
    [[]],
    {},
    {"": 0},
)


class Unsampled(Exception):
    """No value can be made up for a schema: an example has to be given."""


def sample(schema: Schema, schemas: dict[str, Schema], *, full: bool, depth: int = 0) -> Any:
    """A value that fits.

    Args:
        schema: refers to `schemas` by name.
        full: with all that may be left out, and the last of several alternatives; else with as
            little as there can be, and the first.

    Raises:
        Unsampled: it has a pattern, or contains itself without an end.
    """
    if depth > _DEEPEST:
        raise Unsampled("it contains itself")
    full = full and depth < _DEEPEST // 2
    if "$ref" in schema:
        return sample(schemas[name_of(schema)], schemas, full=full, depth=depth + 1)
    for word in ("anyOf", "oneOf"):
        if word in schema:
            chosen = schema[word][-1 if full else 0]
            return sample(chosen, schemas, full=full, depth=depth + 1)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][-1 if full else 0]
    kind = schema.get("type", "null")
    if isinstance(kind, list):
        kind = kind[-1 if full else 0]
    if kind == "object":
        return _object(schema, schemas, full, depth)
    if kind == "array":
        return _array(schema, schemas, full, depth)
    if kind == "string":
        return _string(schema, full)
    if kind in ("integer", "number"):
        return _number(schema, full)
    return False if kind == "boolean" else None


def malformed(schema: Schema, schemas: dict[str, Schema]) -> Iterator[Any]:
    """Payloads of a request that its schema mostly refuses: no object, fields of any other kind."""
    yield from _MISFITS
    while "$ref" in schema:
        schema = schemas[name_of(schema)]
    try:
        fitting = sample(schema, schemas, full=True)
    except Unsampled:
        fitting = {}
    for name in schema.get("properties", {}):
        yield {key: value for key, value in fitting.items() if key != name}
        for misfit in _MISFITS:
            yield {**fitting, name: misfit}


def _object(schema: Schema, schemas: dict[str, Schema], full: bool, depth: int) -> dict[str, Any]:
    required = schema.get("required", [])
    made = {
        name: sample(each, schemas, full=full, depth=depth + 1)
        for name, each in schema.get("properties", {}).items()
        if name in required or full
    }
    more = schema.get("additionalProperties")
    if full and isinstance(more, dict):
        made["x"] = sample(more, schemas, full=full, depth=depth + 1)
    return made


def _array(schema: Schema, schemas: dict[str, Schema], full: bool, depth: int) -> list[Any]:
    first = schema.get("prefixItems", [])
    made = [sample(each, schemas, full=full, depth=depth + 1) for each in first]
    items = schema.get("items")
    count = max(schema.get("minItems", 0), len(made) + full)
    while isinstance(items, dict) and len(made) < min(count, schema.get("maxItems", count)):
        made.append(sample(items, schemas, full=full, depth=depth + 1))
    return made


def _string(schema: Schema, full: bool) -> str:
    if "pattern" in schema:
        raise Unsampled(f"it has the pattern {schema['pattern']}")
    if "format" in schema:
        return _FORMATS.get(schema["format"], "x")
    if schema.get("contentEncoding") == "base64":
        return "AAEC"
    least: int = schema.get("minLength", 0)
    return "é" * min(max(least, 3), schema.get("maxLength", 3)) if full else "x" * least


def _number(schema: Schema, full: bool) -> float:
    low = schema.get("minimum", schema.get("exclusiveMinimum", -2) + 1)
    high = schema.get("maximum", schema.get("exclusiveMaximum", low + 8) - 1)
    step = schema.get("multipleOf")
    if step:
        low, high = -(-low // step) * step, high // step * step
    top: float = max(low, high)
    return top if full else min(max(low, 0), top)
