"""The grammar of the mapping language: compact and long spelling to one tree (contract 3.1, 3.2).

Guarantees: `parse` accepts exactly the grammar and raises MappingError, and nothing else, for all the rest;
it reads no body and no table, so the result holds for every resource and may be cached per template.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from actors.core.mapping_ast import (
    ByComputedName,
    ByRelation,
    ByType,
    Choice,
    Concatenation,
    Constant,
    Equal,
    Expression,
    Field,
    Loop,
    MappingError,
    Matches,
    Nested,
    Output,
    Step,
    Version,
    late_bound,
)
from actors.core.model import Json, JsonObject

#: Nesting of objects in one mapping. The recorded ones nest four deep; the bound keeps recursion safe.
MAX_DEPTH: Final = 32
VERSION_WORD: Final = "auto_filled"


def parse(raw: Json) -> Expression:
    """Read a mapping in either spelling. Raises MappingError (contract 3.1)."""
    return _mapping(raw, 0)


def _mapping(raw: Json, depth: int) -> Expression:
    if depth > MAX_DEPTH:
        raise MappingError(f"mapping is nested deeper than {MAX_DEPTH} levels")
    if isinstance(raw, str):
        return _compact(raw)
    if isinstance(raw, dict):
        return _long(raw, depth)
    raise MappingError(f"a mapping must be text or an object, not {_kind(raw)}")


def _kind(raw: Json) -> str:
    names = {bool: "a boolean", int: "a number", float: "a number", list: "an array", dict: "an object"}
    return "null" if raw is None else names.get(type(raw), "text")


# ----------------------------------------------------------------------------------------------- compact


def _compact(text: str) -> Expression:
    if not text:
        raise MappingError("mapping is empty text")
    reader = _OPERATORS.get(text[0])
    if reader is None:
        known = ", ".join(_OPERATORS)
        raise MappingError(f"unknown first character {text[0]!r} in {text!r} (known: {known})")
    return reader(text, text[1:])


def _property(text: str, rest: str) -> Expression:
    if not rest:
        raise MappingError(f"property name is missing in {text!r}")
    return Field(rest)


def _constant(_text: str, rest: str) -> Expression:
    return Constant(rest)


def _field_of_related(text: str, rest: str) -> Expression:
    *hops, name = rest.split(":")
    if not hops:
        raise MappingError(f"{text!r} has no hop; expected F<type>+<property>:<property>")
    if not name:
        raise MappingError(f"property name is missing at the end of {text!r}")
    return Field(name, tuple(_hop(text, hop) for hop in hops))


def _hop(text: str, hop: str) -> Step:
    kind, plus, prop = hop.partition("+")
    if not (kind and plus and prop) or "+" in prop:
        raise MappingError(f"malformed hop {hop!r} in {text!r}; expected <type>+<property>")
    return ByType(kind, prop)


def _output_of_related(text: str, rest: str) -> Expression:
    parts = rest.split(":")
    if len(parts) != 3 or not all(parts):
        raise MappingError(f"malformed {text!r}; expected M<type>:<property>:<output key>")
    kind, prop, key = parts
    return Output(key, (ByType(kind, prop),))


def _nested(text: str, rest: str) -> Expression:
    names = rest.split(":")
    if not all(names):
        raise MappingError(f"property name is missing in {text!r}")
    return Nested(tuple(names))


def _version(text: str, rest: str) -> Expression:
    if rest != VERSION_WORD:
        raise MappingError(f"malformed {text!r}; expected V{VERSION_WORD}")
    return Version()


def _compact_concatenation(text: str, rest: str) -> Expression:
    parts = rest.split("&")
    if any(part.startswith("A") for part in parts):
        raise MappingError(f"a concatenation inside the concatenation {text!r}")
    return Concatenation(tuple(_immediate(_compact(part), text) for part in parts))


_OPERATORS: Final[dict[str, Callable[[str, str], Expression]]] = {
    "P": _property,
    "C": _constant,
    "F": _field_of_related,
    "M": _output_of_related,
    "O": _nested,
    "V": _version,
    "A": _compact_concatenation,
}


# -------------------------------------------------------------------------------------------------- long


def _long(raw: JsonObject, depth: int) -> Expression:
    for marker, (allowed, reader) in _FORMS.items():
        if marker in raw:
            unknown = sorted(str(member) for member in raw.keys() - allowed - {marker, "ignore_missing"})
            if unknown:
                raise MappingError(f"unknown member {unknown[0]!r} beside {marker!r}")
            return reader(raw, depth)
    raise MappingError(f"no form has the members {sorted(map(str, raw))}; expected one of {list(_FORMS)}")


def _name(raw: JsonObject, member: str) -> str:
    value = raw[member]
    if not isinstance(value, str):
        raise MappingError(f"{member!r} must be text, not {_kind(value)}")
    if not value:
        raise MappingError(f"{member!r} is empty")
    return value


def _array(raw: JsonObject, member: str) -> list[Json]:
    value = raw[member]
    if not isinstance(value, list):
        raise MappingError(f"{member!r} must be an array, not {_kind(value)}")
    return value


def _flag(raw: JsonObject) -> bool:
    value = raw.get("ignore_missing", False)
    if not isinstance(value, bool):
        raise MappingError(f"'ignore_missing' must be true or false, not {_kind(value)}")
    return value


def _path(raw: JsonObject, depth: int) -> tuple[Step, ...]:
    return tuple(_step(step, depth + 1) for step in _array(raw, "path")) if "path" in raw else ()


def _step(raw: Json, depth: int) -> Step:
    if isinstance(raw, str):
        if not raw:
            raise MappingError("a step of 'path' is empty")
        return ByRelation(raw)
    if isinstance(raw, dict) and raw.keys() == {"type", "id"}:
        if not isinstance(raw["id"], str):
            raise MappingError(f"'id' of a step must be text, not {_kind(raw['id'])}")
        return ByType(_name(raw, "type"), raw["id"])
    if isinstance(raw, dict) and raw.keys() == {"concatenate"}:
        return ByComputedName(_concatenation(raw, depth))
    raise MappingError(f"a step of 'path' must be a name, type and id, or a concatenation, not {_kind(raw)}")


def _field_form(raw: JsonObject, depth: int) -> Field:
    return Field(_name(raw, "field"), _path(raw, depth), _flag(raw), registers=True)


def _output_form(raw: JsonObject, depth: int) -> Expression:
    return Output(_name(raw, "output_key"), _path(raw, depth), _flag(raw))


def _constant_form(raw: JsonObject, _depth: int) -> Expression:
    return Constant(raw["constant"])


def _version_form(raw: JsonObject, _depth: int) -> Expression:
    if raw["version"] != VERSION_WORD:
        raise MappingError(f"'version' must be {VERSION_WORD!r}")
    return Version()


def _nested_form(raw: JsonObject, _depth: int) -> Expression:
    names = _array(raw, "nested")
    if not names or not all(isinstance(name, str) and name for name in names):
        raise MappingError("'nested' must be an array of one or more property names")
    return Nested(tuple(names))


def _concatenation(raw: JsonObject, depth: int) -> Concatenation:
    parts = _array(raw, "concatenate")
    if not parts:
        raise MappingError("'concatenate' has no parts")
    return Concatenation(tuple(_part(part, "'concatenate'", depth) for part in parts), _flag(raw))


def _loop_form(raw: JsonObject, depth: int) -> Expression:
    over, body = raw["for_field"], raw.get("for_mapping")
    if body is None:
        raise MappingError("'for_field' without 'for_mapping'")
    if isinstance(over, dict):
        if "field" not in over:
            raise MappingError("'for_field' must be a property name or a field with path")
        source = _long(over, depth + 1)
    else:
        source = Field(_name(raw, "for_field"))
    assert isinstance(source, Field)  # 'field' is the first form that _long looks for
    return Loop(source, _mapping(body, depth + 1))


def _choice_form(raw: JsonObject, depth: int) -> Expression:
    for member in ("then_mapping", "else_mapping"):
        if member not in raw:
            raise MappingError(f"'if_mapping' without {member!r}")
    condition = _condition(raw["if_mapping"], depth + 1)
    then = _mapping(raw["then_mapping"], depth + 1)
    return Choice(condition, then, _mapping(raw["else_mapping"], depth + 1))


def _condition(raw: Json, depth: int) -> Equal | Matches:
    if not isinstance(raw, dict) or len(raw) != 1 or not raw.keys() & {"equal", "regexp"}:
        raise MappingError("'if_mapping' must be an object with either 'equal' or 'regexp'")
    ((word, _),) = raw.items()
    parts = _array(raw, word)
    if len(parts) != 2:
        raise MappingError(f"{word!r} takes two parts, not {len(parts)}")
    first, second = (_part(part, repr(word), depth) for part in parts)
    return Equal(first, second) if word == "equal" else Matches(first, second)


def _part(raw: Json, where: str, depth: int) -> Expression:
    """A mapping object; anything scalar is a literal (compact spelling has no place here)."""
    if isinstance(raw, dict):
        return _immediate(_mapping(raw, depth + 1), where)
    if isinstance(raw, list):
        raise MappingError(f"a part of {where} must be an object or a literal, not an array")
    return Constant(raw)


def _immediate(expression: Expression, where: str) -> Expression:
    if late_bound(expression):
        raise MappingError(f"a stack output cannot be a part of {where}: it is known only when the job runs")
    return expression


#: Member that marks a form → the members it may have beside, and its reader.
_FORMS: Final[dict[str, tuple[frozenset[str], Callable[[JsonObject, int], Expression]]]] = {
    "field": (frozenset({"path"}), _field_form),
    "constant": (frozenset(), _constant_form),
    "output_key": (frozenset({"path"}), _output_form),
    "version": (frozenset(), _version_form),
    "nested": (frozenset(), _nested_form),
    "concatenate": (frozenset(), _concatenation),
    "for_field": (frozenset({"for_mapping"}), _loop_form),
    "if_mapping": (frozenset({"then_mapping", "else_mapping"}), _choice_form),
}
