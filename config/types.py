"""The table of resource types from `types.yaml`, or from a file of that form.

Guarantees: what `load_types` returns is complete and consistent (every relation names a known type, no two
types share a path, every mapping is text or an object under a known handler); else one TypesError that names
file and type. Mappings are not parsed here: that is `actors.core.mapping`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from actors.core.keys import ResourceType, TypeTable
from actors.core.model import Handler, Json
from config.documents import DocumentError, read_yaml

DEFAULT_FILE: Final = Path(__file__).with_name("types.yaml")
_MEMBERS: Final = ("plural", "prefix", "relations", "template_path", "repair")
_HANDLERS: Final = {handler.value: handler for handler in Handler}


class TypesError(ValueError):
    """The file of types cannot be used. The text names the file, the type and the reason."""


def load_types(path: Path = DEFAULT_FILE) -> TypeTable:
    """Read a file of types (see the head of `types.yaml` for its form). Raises TypesError."""
    try:
        document = read_yaml(path)
    except DocumentError as error:
        raise TypesError(str(error)) from error
    if not isinstance(document, dict) or not document:
        raise TypesError(f"{path}: must be a table of types")
    types = [_type(path, str(name), body) for name, body in document.items()]
    _check(path, types)
    return TypeTable(types)


def _type(path: Path, name: str, body: Json) -> ResourceType:
    if not isinstance(body, dict):
        raise TypesError(f"{path}: type {name}: must be a table; write {{}} for a type without anything")
    for member in body:
        if member not in _MEMBERS:
            raise TypesError(
                f"{path}: type {name}: no such member {member!r}; there are {', '.join(_MEMBERS)}"
            )
    plural, prefix = body.get("plural", f"{name}s"), body.get("prefix", "v2.0")
    for member, value in (("plural", plural), ("prefix", prefix)):
        if not isinstance(value, str) or not value or value != value.strip("/ "):
            raise TypesError(
                f"{path}: type {name}: {member} must be text without slashes at its ends, not {value!r}"
            )
    relations = _table(path, name, "relations", body)
    for prop, target in relations.items():
        if not isinstance(prop, str) or not isinstance(target, str):
            raise TypesError(f"{path}: type {name}: relations must map a property to a type, not {prop!r}")
    templates = {}
    for handler, mapping in _table(path, name, "template_path", body).items():
        if handler not in _HANDLERS:
            raise TypesError(
                f"{path}: type {name}: no such handler {handler!r}; there are {', '.join(_HANDLERS)}"
            )
        if not isinstance(mapping, str | dict) or not mapping:
            raise TypesError(f"{path}: type {name}: template_path of {handler} must be a mapping")
        templates[_HANDLERS[handler]] = mapping
    repair = body.get("repair", False)
    if not isinstance(repair, bool):
        raise TypesError(f"{path}: type {name}: repair must be true or false, not {repair!r}")
    return ResourceType(name, plural, prefix, relations, templates, repair)


def _table(path: Path, name: str, member: str, body: Mapping[str, Json]) -> dict[str, Json]:
    value = body.get(member, {})
    if not isinstance(value, dict):
        raise TypesError(f"{path}: type {name}: {member} must be a table")
    return value


def _check(path: Path, types: list[ResourceType]) -> None:
    known = {each.name for each in types}
    seen: dict[str, str] = {}
    for each in types:
        for prop, target in each.relations.items():
            if target not in known:
                raise TypesError(f"{path}: type {each.name}: {prop} refers to {target!r}, which is no type")
        if each.path in seen:
            raise TypesError(
                f"{path}: types {seen[each.path]} and {each.name} have the same path {each.path}"
            )
        seen[each.path] = each.name
