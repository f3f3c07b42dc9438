"""A checker for the JSON schemas that our OpenAPI document uses: strict, and only for those."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

KINDS: dict[str, Any] = {
    "string": str,
    "boolean": bool,
    "object": dict,
    "array": list,
    "null": type(None),
    "integer": int,
    "number": (int, float),
}
KNOWN = {"type", "description", "properties", "required", "additionalProperties", "items", "minimum", "enum"}


def mismatches(
    value: Any, schema: Mapping[str, Any], document: Mapping[str, Any], at: str = "$"
) -> list[str]:
    """Where the value is not as the schema says."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/components/schemas/")
        return mismatches(value, document["components"]["schemas"][name], document, at)
    if "oneOf" in schema:
        tries = [mismatches(value, each, document, at) for each in schema["oneOf"]]
        return [] if [] in tries else tries[0]
    assert set(schema) <= KNOWN, f"this checker does not know {set(schema) - KNOWN}"
    wanted = schema.get("type")
    kinds = [wanted] if isinstance(wanted, str) else wanted or []
    if kinds and not any(_is(value, kind) for kind in kinds):
        return [f"{at} is {value!r:.60}, not {wanted}"]
    if "minimum" in schema and value < schema["minimum"]:
        return [f"{at} is {value}"]
    if isinstance(value, list):
        return [
            wrong
            for i, each in enumerate(value)
            for wrong in mismatches(each, schema.get("items", {}), document, f"{at}[{i}]")
        ]
    return _members(value, schema, document, at) if isinstance(value, dict) else []


def _is(value: Any, kind: str) -> bool:
    return isinstance(value, KINDS[kind]) and (kind == "boolean" or not isinstance(value, bool))


def _members(
    value: dict[str, Any], schema: Mapping[str, Any], document: Mapping[str, Any], at: str
) -> list[str]:
    named, rest = schema.get("properties", {}), schema.get("additionalProperties", {})
    wrong = [f"{at}.{name} is missing" for name in schema.get("required", ()) if name not in value]
    for name, each in value.items():
        if name not in named and rest is False:
            wrong.append(f"{at}.{name} is not described")
        else:
            wrong += mismatches(each, named.get(name, rest), document, f"{at}.{name}")
    return wrong
