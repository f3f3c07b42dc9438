"""The value of an unfinished job in etcd, checked: everything that reads jobs reads them here.

Guarantees: of what `job_body` returns, every member has the type that the contract gives it (1.2, 2.3, 3.4), so that a
job can be built, compared, sorted and run; everything else is one BadValue that names the key and, since parameters may
be passwords, shows none of their values.
"""

from __future__ import annotations

from actors.core.json_text import parse
from actors.core.members import (
    BadValue,
    flag_of,
    kind,
    object_of,
    quoted,
    reason,
    text_of,
    texts_of,
    version_of,
)
from actors.core.model import Action, Handler, Json, JsonObject, OnFailure, ParamType

_ACTIONS = tuple(each.value for each in Action)
_HANDLERS = tuple(each.value for each in Handler)
_ON_FAILURE = tuple(each.value for each in OnFailure)
_PARAM_TYPES = tuple(each.value for each in ParamType)


def job_body(key: str, raw: bytes) -> JsonObject:
    """The second of the three elements. Raises BadValue; the third element is ignored."""
    try:
        value = parse(raw)
        if not isinstance(value, list) or len(value) < 2:
            raise ValueError(f"must be an array of three, not {kind(value)}")  # noqa: TRY301 - one text for all
        return _checked(value[1])
    except ValueError as error:
        raise BadValue(f"{key}: not a job ({reason(error)})") from error


def _checked(value: Json) -> JsonObject:
    body = object_of(value, "what it says")
    text_of(body, "id")
    text_of(body, "action", _ACTIONS)
    text_of(body, "handler", _HANDLERS)
    text_of(body, "on_failure", _ON_FAILURE)
    _check_ref(body)
    version_of(body, 1)
    object_of(body.get("resource_input"), "member 'resource_input'")
    _check_params(body.get("params"), "member 'params'")
    texts_of(body, "dependency")
    flag_of(body, "is_first")
    flag_of(body, "is_last")
    return body


def _check_ref(members: JsonObject) -> None:
    text_of(members, "resource_type")
    text_of(members, "resource_id")


def _check_params(value: Json, what: str) -> None:
    """A list of entries, each of the form of contract 3.4; JSON is not deep enough for the recursion to matter."""
    if not isinstance(value, list):
        raise ValueError(f"{what} must be a list of entries, not {kind(value)}")  # noqa: TRY004 - one kind of error
    for each in value:
        entry = object_of(each, "a parameter")
        name = text_of(entry, "param")
        sort = text_of(entry, "type", _PARAM_TYPES)
        refs = entry.get("resources", [])
        if not isinstance(refs, list):
            raise ValueError(f"'resources' of parameter {quoted(name)} must be a list, not {kind(refs)}")  # noqa: TRY004
        for ref in refs:
            _check_ref(object_of(ref, f"a resource of parameter {quoted(name)}"))
        if "value" not in entry:
            raise ValueError(f"parameter {quoted(name)} has no value")
        inner, where = entry["value"], f"the value of parameter {quoted(name)}"
        if sort == ParamType.OUTPUT_KEY:
            _check_ref(object_of(inner, where))
            text_of(inner, "output_key")
        elif sort == ParamType.LIST:
            _check_params(inner, where)
