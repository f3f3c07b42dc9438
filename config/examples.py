"""Reads template documents and declarations from files, into what the API server would put into etcd.

Guarantees: every value comes out in wire form (contract 1.1) under its key; a document that could not be used
is a DocumentError naming file and document. Knows nothing of etcd: who writes the values is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from actors.core.json_text import GIVEN_DEPTH_MAX
from actors.core.keys import CONFIG, TEMPLATES, TypeTable, encode_declared, stack_name
from actors.core.model import Handler, Ref
from config.documents import DocumentError, not_json, read_yaml

TEMPLATES_DIR: Final = Path(__file__).with_name("templates")
GATEWAY_FILE: Final = Path(__file__).with_name("examples") / "gateway.yaml"
AGENTS_FILE: Final = Path(__file__).with_name("examples") / "agents.yaml"

#: Heat's limit for the name of a stack.
STACK_NAME_MAX: Final = 255
_TEMPLATE_MEMBERS: Final = {"id", "handler", "parameter_mappings", "template_file", "watch"}
_DECLARATION_MEMBERS: Final = {"type", "version", "body"}
_DEVICE_MEMBERS: Final = {"name", "community_name", "interfaces", "vrrp", "bgp"}


def load_templates(directory: Path = TEMPLATES_DIR) -> list[tuple[str, bytes]]:
    """(key, value) of every `<id>.yaml` in a folder, by id. Raises DocumentError."""
    files = sorted(directory.glob("*.yaml"))
    if not files:
        raise DocumentError(f"{directory}: no template documents (*.yaml) here")
    return [_template(path) for path in files]


def load_declarations(path: Path, types: TypeTable) -> list[tuple[str, bytes]]:
    """(key, value) of every entry of a file, in its order. Raises DocumentError.

    The file is a list of `{type, body}`, optionally with `version` (1). `body` has at least an `id`.
    """
    entries = read_yaml(path)
    if entries is None:
        raise DocumentError(f"{path}: the file is empty: it must be a list of declarations")
    if not isinstance(entries, list) or not entries:
        raise DocumentError(f"{path}: must be a list of declarations, each with type and body")
    declared: dict[str, bytes] = {}
    for number, entry in enumerate(entries, 1):
        key, value = _declaration(f"{path}: declaration {number}", entry, types)
        if key in declared:
            raise DocumentError(f"{path}: declaration {number}: {key} is declared twice")
        declared[key] = value
    return list(declared.items())


class Document(NamedTuple):
    """One document of a file. `where`: the file, and its number in it; `delete`: it is marked for deletion."""

    where: str
    key: str
    value: bytes
    delete: bool


def read_documents(paths: Iterable[Path], types: TypeTable) -> list[Document]:
    """Everything in these files, YAML or JSON, one document or a list.

    A declaration is `{type, body}` and may say `marked_for_deletion: true`; a template is what has a
    `template_file`. Raises DocumentError, also where two of them are of one key.
    """
    found: dict[str, Document] = {}
    for path in paths:
        content = read_yaml(path)
        if content is None or content == []:
            raise DocumentError(f"{path}: the file is empty: it must hold a document or a list of them")
        for number, entry in enumerate(content if isinstance(content, list) else [content], 1):
            one = _document(f"{path}: document {number}", entry, types)
            if (before := found.setdefault(one.key, one)) is not one:
                there = before.where.removeprefix(f"{path}: ")
                raise DocumentError(f"{one.where}: {one.key} stands in {there} already: keep one of them")
    return list(found.values())


def _document(where: str, entry: Any, types: TypeTable) -> Document:
    if isinstance(entry, dict) and "template_file" in entry:
        return Document(where, *_template_of(where, {"watch": [], **entry}), delete=False)
    delete = entry.pop("marked_for_deletion", False) if isinstance(entry, dict) else False
    if not isinstance(delete, bool):
        raise DocumentError(f"{where}: marked_for_deletion must be true or false, not {delete!r}")
    return Document(where, *_declaration(where, entry, types), delete)


@dataclass(frozen=True, slots=True)
class Agents:
    """What the embedded SNMP agents shall be. `config`: as their server reads it. `names`: declared address →
    device name, to tell the pollers (`snmp.devices`) where the agent of an address really listens."""

    config: Mapping[str, Any]
    names: Mapping[str, str]


def load_agents(path: Path = AGENTS_FILE, community: Callable[[str], str] = str) -> Agents:
    """The devices of an agents file. Raises DocumentError.

    `community`: community name → community, as the settings have it.
    """
    document = read_yaml(path)
    devices = document.get("devices") if isinstance(document, dict) else None
    if not isinstance(devices, dict) or not devices:
        raise DocumentError(f"{path}: must have the table 'devices': declared address → device")
    rows = []
    for address, device in devices.items():
        where = f"{path}: device {address}"
        _members(where, device, _DEVICE_MEMBERS, needed={"name", "community_name"})
        rows.append(
            {
                "name": device["name"],
                "host": "127.0.0.1",  # with any free port: the one loopback address that every system has
                "port": 0,
                "community": community(device["community_name"]),
                "interfaces": device.get("interfaces", []),
                "vrrp": device.get("vrrp", []),
                "bgp": device.get("bgp", []),
            }
        )
    return Agents({"devices": rows}, {str(a): str(d["name"]) for a, d in devices.items()})


def _template(path: Path) -> tuple[str, bytes]:
    where, body = f"{path}: template", read_yaml(path)
    key, value = _template_of(where, body)
    if body["id"] != path.stem:
        raise DocumentError(f"{where}: id {body['id']!r} must be the name of its file")
    return key, value


def _template_of(where: str, body: Any) -> tuple[str, bytes]:
    _members(where, body, _TEMPLATE_MEMBERS, needed=_TEMPLATE_MEMBERS)
    _check_json(where, body)
    rid = body["id"]
    if not isinstance(rid, str) or not rid or "/" in rid or not rid.isprintable():
        raise DocumentError(f"{where}: id must be printable text without '/', not {rid!r}")
    if body["handler"] not in [handler.value for handler in Handler]:
        raise DocumentError(f"{where}: unknown handler {body['handler']!r}; there are {', '.join(Handler)}")
    if not isinstance(body["parameter_mappings"], dict):
        raise DocumentError(f"{where}: parameter_mappings must be a table")
    if not isinstance(body["template_file"], str):
        raise DocumentError(f"{where}: template_file must be text")
    if body["watch"] != []:
        raise DocumentError(f"{where}: watch must be [] (contract 10.22)")
    return f"{TEMPLATES}{rid}", encode_declared(body, 1)


def _declaration(where: str, entry: Any, types: TypeTable) -> tuple[str, bytes]:
    _members(where, entry, _DECLARATION_MEMBERS, needed={"type", "body"})
    name, body, version = entry["type"], entry["body"], entry.get("version", 1)
    if not isinstance(name, str) or name not in types:
        raise DocumentError(f"{where}: no such type {name!r}")
    _check_json(f"{where} ({name})", body)
    rid = body.get("id") if isinstance(body, dict) else None
    if not isinstance(rid, str):
        raise DocumentError(f"{where} ({name}): body must be a table with the text 'id'")
    if not rid or "/" in rid:
        raise DocumentError(f"{where} ({name}): id {rid!r} must not be empty or hold a /")
    if not rid.isprintable():
        raise DocumentError(f"{where} ({name}): id {rid!r} must not hold control characters")
    if len(stack_name(Ref(name, rid))) > STACK_NAME_MAX:
        long = f"the id has {len(rid)} characters, and Heat takes {STACK_NAME_MAX} for '{name}_<id>'"
        raise DocumentError(f"{where} ({name}): {long}: give it a shorter one")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise DocumentError(f"{where} ({name} {rid}): version must be a positive integer, not {version!r}")
    return f"{CONFIG}{types.path(Ref(name, rid))}", encode_declared(body, version)


def _check_json(where: str, value: Any) -> None:
    """YAML has dates, sets and more, which no value in etcd can hold."""
    why = not_json(value, GIVEN_DEPTH_MAX - 1)
    if why:
        raise DocumentError(f"{where}: {why}")


def _members(where: str, value: Any, allowed: set[str], *, needed: set[str]) -> None:
    if not isinstance(value, dict):
        raise DocumentError(f"{where}: must be a table")
    unknown, missing = sorted(set(value) - allowed, key=str), sorted(needed - set(value))
    if unknown:
        raise DocumentError(
            f"{where}: no such member {str(unknown[0])!r}; there are {', '.join(sorted(allowed))}"
        )
    if missing:
        raise DocumentError(f"{where}: member {missing[0]!r} is missing")
