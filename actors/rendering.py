"""From job parameters and template text to what Heat is given and what is monitored (contract 3.5, 6.1).

Guarantees: no I/O; every defect of a template or a value raises RenderError, which names the template and
the line and never holds a value (values may be passwords); loops and the size of the result are bounded.
Returned documents are shared between callers through caches: read them, do not change them.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import yaml

from actors.core.db_mappings import tags_of
from actors.core.errors import ErrorClass, Failure
from actors.core.limiting import TookTooLong
from actors.core.model import Json, JsonObject, Param, ParamType, Ref
from actors.core.monitor_types import BadMonitor
from actors.runtime import alarm
from actors.template_engine import RENDER_MAX_S, RenderError, render_text

__all__ = [
    "HeatInput",
    "MonitorSpec",
    "RenderError",
    "failure_of",
    "needed_outputs",
    "render_heat",
    "render_monitors",
    "resolve",
    "split_params",
]

JINJA_PREFIX: Final = "jinja_"
TIMEOUT: Final = "heat_timeout"
DEFAULT_TIMEOUT_MIN: Final = 10
#: About two thousand years: what Heat keeps it in.
TIMEOUT_MAX_MIN: Final = 10**9
#: Lists and mappings within each other; LibYAML calls itself for each, and tens of thousands end the process.
MAX_DEPTH: Final = 200
#: More nodes than any HOT document has; aliases in YAML could otherwise multiply without end.
MAX_NODES: Final = 100_000
_DB_MAPPINGS: Final = "db_mappings"


class MissingOutputError(RenderError):
    """A parameter that a template cannot do without needs an output that a stack does not have."""


@dataclass(frozen=True, slots=True)
class HeatInput:
    """What a stack is made from: `parameters` without nulls, `timeout_min` in minutes."""

    template: JsonObject
    parameters: JsonObject
    timeout_min: int


@dataclass(frozen=True, slots=True)
class MonitorSpec:
    """One monitor of a monitoring document: `properties` are all members but `type` (contract 6.1, 6.2), and the `tags`
    that `db_mappings` has for it, where it has none itself."""

    name: str
    type: str
    properties: JsonObject


def failure_of(error: Exception, ref: Ref, template_id: str, log: logging.Logger) -> Failure:
    """Why a resource cannot be rendered. What nobody foresaw is logged, and is the end of this version only, too."""
    where = f"{ref} template {template_id}"
    if isinstance(error, RenderError | BadMonitor):
        kind = "MissingOutput" if isinstance(error, MissingOutputError) else "InvalidTemplate"
        return Failure(ErrorClass.INVALID, kind, f"{where}: {error}")
    log.error("%s cannot be rendered", where, exc_info=error)
    return Failure(
        ErrorClass.INVALID, "InternalError", f"{where}: unexpected {type(error).__name__}, see log"
    )


# --------------------------------------------------------------------------------------------- parameters


def needed_outputs(params: Iterable[Param]) -> set[Ref]:
    """The resources whose stack outputs `resolve` will ask for."""
    found: set[Ref] = set()
    for param in params:
        if param.type is ParamType.OUTPUT_KEY:
            found.add(_target(param))
        elif param.type is ParamType.LIST:
            found |= needed_outputs(_inner(param))
    return found


def resolve(
    params: Iterable[Param], outputs: Mapping[Ref, Iterable[JsonObject]]
) -> tuple[dict[str, Json], dict[str, list[str]]]:
    """Final values, and warnings of what is missing in them, both by parameter name (contract 3.5.1, 10.26).

    `outputs`: resource → its stored Heat outputs. One that is missing or carries `output_error` gives null
    and a warning. Raises RenderError for a malformed entry.
    """
    values: dict[str, Json] = {}
    missing: dict[str, list[str]] = {}
    for param in params:
        warnings: list[str] = []
        values[param.name] = _value(param, outputs, warnings)
        if warnings:
            missing[param.name] = warnings
    return values, missing


def _value(param: Param, outputs: Mapping[Ref, Iterable[JsonObject]], warnings: list[str]) -> Json:
    if param.type is ParamType.VALUE:
        return param.value
    if param.type is ParamType.LIST:
        return [_value(entry, outputs, warnings) for entry in _inner(param)]
    ref, key = _target(param), param.value["output_key"]
    found = next((each for each in outputs.get(ref, ()) if each.get("output_key") == key), None)
    if found is None:
        warnings.append(f"parameter {param.name!r}: the stack of {ref} has no output {key!r}")
        return None
    if found.get("output_error"):
        warnings.append(f"parameter {param.name!r}: Heat could not compute output {key!r} of {ref}")
        return None
    return found.get("output_value")


def _target(param: Param) -> Ref:
    try:
        return Ref(param.value["resource_type"], param.value["resource_id"])
    except (TypeError, KeyError) as error:
        raise RenderError("", f"parameter {param.name!r}: not an output_key entry") from error


def _inner(param: Param) -> list[Param]:
    try:
        return [Param.from_json(entry) for entry in param.value]
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise RenderError("", f"parameter {param.name!r}: not a list of entries") from error


def split_params(values: JsonObject) -> tuple[dict[str, Json], dict[str, Json], int]:
    """(Jinja context, Heat parameters, timeout in minutes) of a heat job (contract 3.5.2, quirk 7)."""
    context: dict[str, Json] = {}
    parameters: dict[str, Json] = {}
    for name, value in values.items():
        if name.startswith(JINJA_PREFIX):
            context[name] = value
        elif name != TIMEOUT:
            parameters[name] = value
    return context, parameters, _timeout_min(values.get(TIMEOUT))


def _timeout_min(value: Json) -> int:
    if value is None:
        return DEFAULT_TIMEOUT_MIN
    digits = value.strip() if isinstance(value, str) else value
    if isinstance(digits, str) and digits.isascii() and digits.isdigit() and len(digits) < 10:
        digits = int(digits)
    if isinstance(digits, bool) or not isinstance(digits, int) or not 1 <= digits <= TIMEOUT_MAX_MIN:
        text = f"parameter {TIMEOUT!r} must be a positive number of minutes, at most {TIMEOUT_MAX_MIN}"
        raise RenderError("", text)
    return digits


# ----------------------------------------------------------------------------------------------- documents


def render_heat(
    source: str, values: JsonObject, missing: Mapping[str, Sequence[str]] | None = None, *, name: str = ""
) -> HeatInput:
    """The stack of a heat job. `source`: Jinja2 text of a HOT document; `name`: template id for errors.

    Null parameters are left out, so that Heat takes its default (real Heat refuses null), and so is one of which
    `missing` says that a part was not to be had: an error if it has no default (10.26). Arrays and objects for a
    `string` parameter are sent as JSON text (quirk 31). Raises RenderError.
    """
    context, parameters, timeout_min = split_params(values)
    template = _parse(render_text(source, context, name), name)
    if not template:
        raise RenderError(name, "the rendered template is empty")
    declared = template.get("parameters")
    types = declared if isinstance(declared, dict) else {}
    missing = missing or {}
    for key, (why, *_) in missing.items():
        declaration = types.get(key) if key in parameters else None
        if isinstance(declaration, dict) and declaration.get("default") is None:
            raise MissingOutputError(name, f"{why}, and the template has no default for it")
    sent = {
        key: _for_heat(value, types.get(key))
        for key, value in parameters.items()
        if value is not None and key not in missing
    }
    return HeatInput(template, sent, timeout_min)


def _for_heat(value: Json, declaration: Json) -> Json:
    if (
        isinstance(value, list | dict)
        and isinstance(declaration, dict)
        and declaration.get("type") == "string"
    ):
        return json.dumps(value)
    return value


def render_monitors(source: str, values: JsonObject, *, name: str = "") -> tuple[MonitorSpec, ...]:
    """The monitors of a monitoring job, in document order (contract 6.1). An empty document gives none.

    `db_mappings` is none: it tells of what the values measured by the others are. Raises RenderError.
    """
    document = _parse(render_text(source, values, name), name)
    rows = document.get(_DB_MAPPINGS)
    return tuple(_monitor(str(k), body, rows, name) for k, body in document.items() if k != _DB_MAPPINGS)


def _monitor(key: str, body: Json, rows: Json, name: str) -> MonitorSpec:
    kind = body.get("type") if isinstance(body, dict) else None
    if not isinstance(kind, str) or not kind:
        raise RenderError(name, f"monitor {key!r} must be an object with a 'type'")
    properties = {prop: value for prop, value in body.items() if prop != "type"}
    tags = [] if properties.get("tags") else tags_of(properties, rows)
    return MonitorSpec(key, kind, properties | ({"tags": tags} if tags else {}))


_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_BASE):  # type: ignore[misc]  # the base is chosen at run time: C if it is built
    """YAML without dates: `heat_template_version: 2013-05-23` is text. Of a repeated `db_mappings` no row is lost."""

    yaml_implicit_resolvers = {  # noqa: RUF012  (PyYAML's own attribute)
        first: [each for each in resolvers if each[0] != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """As PyYAML's, but what `<<` merges does not multiply without end, nor what a repeated key does."""
        self._join_mappings(node)
        super().flatten_mapping(node)
        self._count(len(node.value))

    def _join_mappings(self, node: yaml.MappingNode) -> None:
        """A loop writes `db_mappings` once for each of its rows (quirk 42), of which YAML would keep the last."""
        found = [(key, value) for key, value in node.value if key.value == _DB_MAPPINGS]
        lists = [value for _, value in found if isinstance(value, yaml.SequenceNode)]
        if len(lists) < 2:
            return
        self._count(sum(len(each.value) for each in lists))
        rows = yaml.SequenceNode(lists[0].tag, [row for each in lists for row in each.value])
        others = [pair for pair in node.value if pair[0].value != _DB_MAPPINGS]
        node.value = [*others, (found[0][0], rows)]

    def _count(self, more: int) -> None:
        self._merged = getattr(self, "_merged", 0) + more
        if self._merged > MAX_NODES:
            raise yaml.YAMLError(f"more than {MAX_NODES} members of mappings")


def _parse(text: str, name: str) -> dict[str, Json]:
    """A YAML mapping ({} for an empty document). Raises RenderError with line and template."""
    try:
        return alarm.within(RENDER_MAX_S, lambda: _parsed(text, name))
    except TookTooLong:
        why = f"the rendered document takes more than {RENDER_MAX_S:g} s to be read"
        raise RenderError(name, why) from None


@lru_cache(maxsize=256)
def _parsed(text: str, name: str) -> dict[str, Json]:
    try:
        _check_depth(text, name)
        # a subclass of the safe loader, so no object can be made
        document = yaml.load(text, Loader=_Loader)  # noqa: S506
    except RenderError:
        raise
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark is not None else None
        raise RenderError(name, "the rendered text is no YAML", line) from None
    except Exception:  # noqa: BLE001 - `!!int ""` is an IndexError, and there are more of the kind
        raise RenderError(name, "the rendered text is no YAML") from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise RenderError(name, "the rendered text is YAML but no mapping")
    if "*" in text and "&" in text:
        _check_size(document, name)
    try:
        json.dumps(document, allow_nan=False)
    except (TypeError, ValueError):
        text = "the rendered document holds what JSON does not: a date, a set, binary data or a number without end"
        raise RenderError(name, text) from None
    return document


def _check_depth(text: str, name: str) -> None:
    """Look at the events first where there are enough signs for so many levels, or so far a margin."""
    if sum(map(text.count, "[{-?")) < MAX_DEPTH and " " * MAX_DEPTH not in text:
        return
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise RenderError(name, f"more than {MAX_DEPTH} lists and mappings within each other")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _check_size(document: Json, name: str) -> None:
    """Count the nodes as they would be sent: an alias counts each time it is used."""
    left, waiting = MAX_NODES, [document]
    while waiting:
        node = waiting.pop()
        children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        left -= 1 + len(children)
        if left < 0:
            raise RenderError(name, f"the rendered document has more than {MAX_NODES} nodes")
        waiting.extend(children)
