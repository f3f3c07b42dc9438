"""The outputs of a stack as `stack show` gives them (research/heat.md 2)."""

from __future__ import annotations

import zlib

from sim.heat.hot import FunctionError, evaluate
from sim.heat.parameters import Json
from sim.heat.records import Record, StackScope


def resolve(record: Record) -> list[dict[str, Json]]:
    """All outputs with their values. As in Heat their order means nothing: it differs from action to action.

    An output that cannot be computed has `output_error` and the value null; the stack is none the worse.
    """
    found = [resolve_one(record, key) for key in record.template.outputs]
    salt = f"{record.id}{record.generation}"
    found.sort(key=lambda output: zlib.crc32(f"{salt}{output['output_key']}".encode()))
    return found


def resolve_one(record: Record, key: str) -> dict[str, Json]:
    """One output. Raises KeyError for an unknown key."""
    declared = record.template.outputs[key]
    shown: dict[str, Json] = {
        "output_key": key,
        "description": str(declared.get("description") or "No description given"),
    }
    try:
        value = evaluate(declared.get("value"), StackScope(record, record.resources))
    except FunctionError as error:
        return {**shown, "output_value": None, "output_error": str(error)}
    return {**shown, "output_value": value}
