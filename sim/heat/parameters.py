"""HOT template parameters: their schema, the binding of values, and how Heat shows them.

Guarantees: types, conversions, constraints and error texts are those of Heat 27 for version 2013-05-23, as
far as the ESI templates use them (research/heat.md 5). Custom constraints accept every value: there is no
Nova and no Glance behind.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sim.heat.fault import HeatError, invalid

Json = Any
JsonObject = Mapping[str, Json]

_TRUE = ("1", "on", "t", "true", "y", "yes")
_FALSE = ("0", "f", "false", "n", "no", "off")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One declared parameter. `default` None means: there is none (Heat makes no difference)."""

    name: str
    type: str
    default: Json
    hidden: bool
    label: str
    description: str
    constraints: tuple[JsonObject, ...]


def declare(name: str, schema: Json) -> Parameter:
    """Read one entry of `parameters:`. Raises HeatError(InvalidSchemaError)."""
    if not isinstance(schema, Mapping):
        raise HeatError(400, "InvalidSchemaError", f"Invalid parameter schema for {name}")
    kind = schema.get("type")
    if kind not in _CONVERT:
        message = (
            f"Missing parameter type for parameter: {name}" if kind is None else f"Invalid type ({kind})"
        )
        raise HeatError(400, "InvalidSchemaError", message)
    return Parameter(
        name,
        str(kind),
        schema.get("default"),
        str(schema.get("hidden", False)).lower() in _TRUE,
        str(schema.get("label") or name),
        str(schema.get("description") or ""),
        tuple(schema.get("constraints") or ()),
    )


def bind(declared: Mapping[str, Parameter], given: JsonObject) -> dict[str, Json]:
    """The value of every declared parameter, converted to its type.

    Raises HeatError: UnknownUserParameter, UserParameterMissing, StackValidationFailed.
    """
    for name in given:
        if name not in declared:
            raise HeatError(
                400, "UnknownUserParameter", f"The Parameter ({name}) was not defined in template."
            )
    return {name: _value(parameter, given.get(name)) for name, parameter in declared.items()}


def _value(parameter: Parameter, given: Json) -> Json:
    raw = parameter.default if given is None else given
    if raw is None:
        raise missing(parameter.name)
    try:
        value = _CONVERT[parameter.type](raw)
        for constraint in parameter.constraints:
            _check(constraint, value)
    except (ValueError, TypeError) as error:
        raise invalid(f"Parameter '{parameter.name}' is invalid: {error}") from error
    return value


def missing(name: str) -> HeatError:
    """The fault for a parameter that has no value."""
    return HeatError(400, "UserParameterMissing", f"The Parameter ({name}) was not provided.")


def shown(declared: Mapping[str, Parameter], bound: JsonObject) -> dict[str, str]:
    """Parameters as `stack show` gives them: text, hidden ones as stars."""
    return {name: "******" if p.hidden else _as_text(p.type, bound[name]) for name, p in declared.items()}


def _as_text(kind: str, value: Json) -> str:
    if kind == "json":
        return value if isinstance(value, str) else json.dumps(value)
    if kind == "comma_delimited_list":
        return ",".join(value)
    return str(value)


# ------------------------------------------------------------------------------------------- conversions


def _number(value: Json) -> Json:
    if isinstance(value, int | float):
        return value
    try:
        return int(value)
    except ValueError:
        return float(value)


def _boolean(value: Json) -> bool:
    word = str(value).strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    choices = ", ".join(f"'{word}'" for word in sorted((*_TRUE, *_FALSE)))
    raise ValueError(f"Unrecognized value '{value}', acceptable values are: {choices}")


def _json(value: Json) -> Json:
    if not isinstance(value, str):
        return value
    if not value:
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise ValueError(f"Value must be valid JSON: {error}") from error


def _list(value: Json) -> list[str]:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",")] if value else []
    if isinstance(value, Sequence):
        return ["" if part is None else str(part) for part in value]
    raise ValueError(f"Value must be a comma-delimited list string: {value!r}")


#: A list or map given to a string parameter becomes Python's text of it, as in Heat (contract quirk 31).
_CONVERT: Mapping[str, Callable[[Json], Json]] = {
    "string": str,
    "number": _number,
    "boolean": _boolean,
    "json": _json,
    "comma_delimited_list": _list,
}


# ------------------------------------------------------------------------------------------- constraints


def _check(constraint: JsonObject, value: Json) -> None:
    """Raises ValueError with the constraint's own description, or else with Heat's words."""
    complaint = _complaint(constraint, value)
    if complaint:
        raise ValueError(constraint.get("description") or complaint)


def _complaint(constraint: JsonObject, value: Json) -> str:
    if "allowed_values" in constraint:
        return _not_allowed(constraint["allowed_values"], value)
    if "allowed_pattern" in constraint:
        pattern = constraint["allowed_pattern"]
        return "" if re.fullmatch(pattern, str(value)) else f'"{value}" does not match pattern "{pattern}"'
    if "range" in constraint:
        return _outside(constraint["range"], value, str(value))
    if "length" in constraint:
        return _outside(constraint["length"], len(value), f"length ({len(value)})")
    return ""


def _not_allowed(allowed: Sequence[Json], value: Json) -> str:
    for one in value if isinstance(value, list) else [value]:
        if one not in allowed:
            listed = ", ".join(
                f'"{choice}"' if isinstance(choice, str) else str(choice) for choice in allowed
            )
            return f'"{one}" is not an allowed value [{listed}]'
    return ""


def _outside(bounds: JsonObject, measure: Json, subject: str) -> str:
    low, high = bounds.get("min"), bounds.get("max")
    if (low is None or measure >= _number(low)) and (high is None or measure <= _number(high)):
        return ""
    return f"{subject} is out of range (min: {low}, max: {high})"
