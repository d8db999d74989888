"""JSON Schemas (2020-12) of a server's events, one for each class, by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from inspect import cleandoc
from typing import Any

import msgspec

from lbproto.encoded import Encoded
from lbproto.errors import UsageError
from lbproto.events import Event

__all__ = ["DIALECT", "Schema", "components", "name_of", "references", "with_references"]

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_PLACE = "#/components/schemas/"

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


def references(schema: Any) -> Iterator[str]:
    """The names of all schemas that this one refers to, at any depth of it."""
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield name_of(schema)
        for value in schema.values():
            yield from references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from references(value)


def with_references(name: str, schemas: dict[str, Schema]) -> Schema:
    """One schema that stands by itself: what it refers to is among its `$defs`."""
    needed, waiting = {name}, [name]
    while waiting:
        new = set(references(schemas[waiting.pop()])) - needed
        needed |= new
        waiting += new
    alone = _placed(deepcopy(schemas[name]))
    others = sorted(needed - {name})
    if name in references(schemas[name]) or any(name in references(schemas[o]) for o in others):
        others.append(name)
    defs = {other: _placed(deepcopy(schemas[other])) for other in others}
    return {"$schema": DIALECT, **alone, **({"$defs": defs} if defs else {})}


def _placed(schema: Any) -> Any:
    """The same with references into `$defs`; what msgspec says for OpenAPI is left out."""
    if isinstance(schema, list):
        return [_placed(value) for value in schema]
    if not isinstance(schema, dict):
        return schema
    placed = {key: _placed(value) for key, value in schema.items() if key != "discriminator"}
    if isinstance(schema.get("$ref"), str):
        placed["$ref"] = f"#/$defs/{name_of(schema)}"
    return placed
