"""JSON Schema 2020-12 as AsyncAPI reads it: a superset of draft 7, where two things differ.

A tuple's places are `items`, and what comes after them `additionalItems`. Beside a `$ref` nothing
counts, so that what is said of a reference (its default) goes around it.
"""

from __future__ import annotations

from lbproto.contract.schemas import Schema, changed

__all__ = ["draft_07"]


def draft_07(schema: Schema) -> Schema:
    """The same schema in that dialect."""
    said: Schema = changed(schema, _said)
    return said


def _said(schema: Schema) -> Schema:
    if "prefixItems" in schema:
        if "items" in schema:
            schema["additionalItems"] = schema["items"]
        schema["items"] = schema.pop("prefixItems")
    if isinstance(schema.get("discriminator"), dict):  # as OpenAPI has it
        schema["discriminator"] = schema["discriminator"]["propertyName"]
    if isinstance(schema.get("$ref"), str) and len(schema) > 1:
        schema["allOf"] = [{"$ref": schema.pop("$ref")}]
    return schema
