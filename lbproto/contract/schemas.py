"""JSON Schemas (2020-12) of a server's events, one for each class, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from inspect import cleandoc
from typing import Any

import msgspec

from lbproto.encoded import Encoded
from lbproto.errors import UsageError
from lbproto.events import Event

__all__ = [
    "DIALECT",
    "Schema",
    "changed",
    "components",
    "name_of",
    "references",
    "with_references",
]

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_PLACE = "#/components/schemas/"

# Words that do not say a schema: they say one for each name, or none.
_BY_NAME = frozenset({"properties"})
_VALUES = frozenset({"const", "default", "discriminator", "enum", "required"})

_REQUEST_ID: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": 64,
    "description": "Made up by the client: a repeat with the same one is not served again.",
}


def components(
    events: Sequence[type[Event]], once: Iterable[type[Event]]
) -> tuple[list[str], dict[str, Schema]]:
    """The schemas of events, and of everything they are made of.

    Args:
        events: classes.
        once: those of them that are requests which may carry a `requestId`.

    Returns:
        The names of the schemas of `events`, in their order; and all schemas, by name.

    Raises:
        UsageError: an event has a field of a type that no schema can describe.
    """
    try:
        named, schemas = msgspec.json.schema_components(
            events, schema_hook=_hook, ref_template=_PLACE + "{name}"
        )
    except TypeError as error:
        why = str(error).splitlines()[-1]
        raise UsageError(
            f"there is no schema for the events: {why}; say what the field is on the wire, by "
            "Annotated[..., msgspec.Meta(extra_json_schema={...})]"
        ) from None
    names = [name_of(schema) for schema in named]
    for schema in schemas.values():
        if "description" in schema:
            schema["description"] = cleandoc(schema["description"])
    repeated = set(once)
    for event, name in zip(events, names, strict=True):
        schema = schemas[name]
        if event in repeated and schema.get("additionalProperties") is not False:
            schema.setdefault("properties", {}).setdefault("requestId", _REQUEST_ID)
    return names, schemas


def _hook(kind: type) -> Schema:
    if kind is Encoded:
        return {"description": "Any value."}
    raise NotImplementedError


def name_of(reference: Schema) -> str:
    """The schema that a reference names."""
    name: str = reference["$ref"].rpartition("/")[2]
    return name


def changed(schema: Any, change: Callable[[Schema], Schema]) -> Any:
    """A schema with a change made to it, and before that to every schema in it.

    What is not a schema is left as it is: names of fields, values.
    """
    if isinstance(schema, list):
        return [changed(each, change) for each in schema]
    if not isinstance(schema, dict):
        return schema
    inner: Schema = {}
    for word, said in schema.items():
        if word in _BY_NAME and isinstance(said, dict):
            inner[word] = {name: changed(each, change) for name, each in said.items()}
        else:
            inner[word] = said if word in _VALUES else changed(said, change)
    return change(inner)


def references(schema: Any) -> set[str]:
    """The names of all schemas that this one refers to, at any depth of it."""
    found: set[str] = set()

    def look(each: Schema) -> Schema:
        if isinstance(each.get("$ref"), str):
            found.add(name_of(each))
        return each

    changed(schema, look)
    return found


def with_references(name: str, schemas: dict[str, Schema]) -> Schema:
    """One schema that stands by itself: what it refers to is among its `$defs`."""
    needed: set[str] = set()
    waiting = [name]
    while waiting:
        new = references(schemas[waiting.pop()]) - needed
        needed |= new
        waiting += new
    defs = {other: changed(schemas[other], _placed) for other in sorted(needed)}
    alone = changed(schemas[name], _placed)
    return {"$schema": DIALECT, **alone, **({"$defs": defs} if defs else {})}


def _placed(schema: Schema) -> Schema:
    """The same with references into `$defs`; what msgspec says for OpenAPI is left out."""
    placed = {word: said for word, said in schema.items() if word != "discriminator"}
    if isinstance(schema.get("$ref"), str):
        placed["$ref"] = f"#/$defs/{name_of(schema)}"
    return placed
