"""JSON Schema 2020-12 as AsyncAPI reads it: a superset of draft 7, where two things differ.

A tuple's places are `items`, and what comes after them `additionalItems`. Beside a `$ref` nothing
counts, so that what is said of a reference (its default) goes around it.
"""

from __future__ import annotations

from typing import Any

__all__ = ["draft_07"]


def draft_07(schema: Any) -> Any:
    """The same schema in that dialect."""
    if isinstance(schema, list):
        return [draft_07(value) for value in schema]
    if not isinstance(schema, dict):
        return schema
    changed = {key: draft_07(value) for key, value in schema.items()}
    if "prefixItems" in changed:
        if "items" in changed:
            changed["additionalItems"] = changed["items"]
        changed["items"] = changed.pop("prefixItems")
    if isinstance(changed.get("discriminator"), dict):  # as OpenAPI has it
        changed["discriminator"] = changed["discriminator"]["propertyName"]
    if isinstance(changed.get("$ref"), str) and len(changed) > 1:
        changed["allOf"] = [{"$ref": changed.pop("$ref")}]
    return changed
