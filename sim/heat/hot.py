"""HOT documents: reading, checking and evaluating (version 2013-05-23, research/heat.md 5).

Guarantees: `get_param` (with a path), `get_resource`, `get_attr` and `str_replace` mean what they mean in
real Heat; any other map passes through unchanged, as there. Refusals carry Heat's error types and texts.
Does not know resource types: a `Scope` gives values, `sim.heat.types` gives it those of resources.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from sim.heat.fault import HeatError, bad_request, invalid
from sim.heat.parameters import Json, JsonObject, Parameter, declare

VERSIONS = (
    "2013-05-23", "2014-10-16", "2015-04-30", "2015-10-15", "2016-04-08", "2016-10-14", "2017-02-24",
    "2017-09-01", "2018-03-02", "2018-08-31", "2021-04-16", "newton", "ocata", "pike", "queens", "rocky",
    "wallaby",
)  # fmt: skip
SECTIONS = frozenset(
    {"heat_template_version", "description", "parameters", "parameter_groups", "resources", "outputs"}
)
RESOURCE_KEYS = frozenset(
    {"type", "properties", "metadata", "depends_on", "deletion_policy", "update_policy", "description"}
)
PSEUDO = frozenset({"OS::stack_id", "OS::stack_name", "OS::project_id"})
FUNCTIONS = frozenset({"get_param", "get_resource", "get_attr", "str_replace"})
_STACK_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_.-]{0,254}")


class Scope(Protocol):
    """Where functions find values."""

    def parameter(self, name: str) -> Json:
        """The bound value."""

    def reference(self, resource: str) -> str:
        """What `get_resource` gives: the physical id, or the resource's name before there is one."""

    def attribute(self, resource: str, name: str) -> Json:
        """What `get_attr` gives. May raise FunctionError."""


class FunctionError(ValueError):
    """A function that cannot be evaluated. In an output it becomes `output_error`."""


@dataclass(frozen=True, slots=True)
class ResourceDefinition:
    """One entry of `resources:`. `requires`: names of the resources that come first."""

    name: str
    type: str
    properties: JsonObject
    requires: tuple[str, ...]


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Template:
    """A checked document. `resources` are in an order in which each comes after what it requires."""

    document: JsonObject
    description: str
    parameters: Mapping[str, Parameter]
    resources: Mapping[str, ResourceDefinition]
    outputs: Mapping[str, JsonObject]


def check_name(name: Json) -> None:
    """Raises HeatError for a stack name that Heat would refuse."""
    if not isinstance(name, str):
        raise invalid(f"Invalid stack name {name}, must be a string")
    if not _STACK_NAME.fullmatch(name):
        raise invalid(
            f'Invalid stack name {name} must contain only alphanumeric or "_-." characters, '
            "must start with alpha and must be 255 characters or less."
        )


def check_version(document: Json) -> None:
    """Raises HeatError for a document without a known version."""
    if not isinstance(document, Mapping):
        raise bad_request("The template is not a JSON object or YAML mapping.")
    version = document.get("heat_template_version")
    if version is None:
        why = "Template version was not provided"
    elif str(version) in VERSIONS:
        return
    else:
        known = ", ".join(VERSIONS)
        why = f'"heat_template_version: {version}". "heat_template_version" should be one of: {known}'
    raise HeatError(400, "InvalidTemplateVersion", f"The template version is invalid: {why}")


def parse(document: JsonObject) -> Template:
    """Check a document and put its resources in order. Raises HeatError."""
    check_version(document)
    for section in document:
        if section not in SECTIONS:
            raise invalid(f"The template section is invalid: {section}")
    parameters = {name: declare(name, schema) for name, schema in _section(document, "parameters").items()}
    bodies = _section(document, "resources")
    resources = {name: _resource(name, body, bodies) for name, body in bodies.items()}
    outputs = _section(document, "outputs")
    for name, output in outputs.items():
        _check_output(name, output, bodies)
    description = str(document.get("description") or "No description")
    return Template(document, description, parameters, _ordered(resources), outputs)


def _section(document: JsonObject, name: str) -> dict[str, Json]:
    section = document.get(name) or {}
    if not isinstance(section, Mapping):
        raise invalid(f'The "{name}" section must be a map')
    return dict(section)


def _resource(name: str, body: Json, known: JsonObject) -> ResourceDefinition:
    if not isinstance(body, Mapping):
        raise invalid(f'Resource "{name}" is not a map')
    for key in body:
        if key not in RESOURCE_KEYS:
            # Heat 27 forgets to fill its own text in
            raise invalid(f'"%s" is not a valid keyword inside a {key} definition')
    if not body.get("type"):
        raise invalid("Each resource must contain a type key.")
    depends = body.get("depends_on") or ()
    requires = [depends] if isinstance(depends, str) else list(depends)
    for other in requires:
        if other not in known:
            raise _bad_reference(other, name)
    properties = body.get("properties") or {}
    for place, function, argument in calls(properties, f"{name}.Properties"):
        target = _target(function, argument)
        if target is not None and target not in known:
            raise _bad_reference(target, place)
        if target is not None:
            requires.append(target)
    return ResourceDefinition(name, str(body["type"]), properties, tuple(dict.fromkeys(requires)))


def _target(function: str, argument: Json) -> str | None:
    """The resource that a function call names, if it names one."""
    if function == "get_resource":
        return str(argument)
    if function == "get_attr" and isinstance(argument, list) and argument:
        return str(argument[0])
    return None


def _bad_reference(target: str, place: str) -> HeatError:
    message = f'The specified reference "{target}" (in {place}) is incorrect.'
    return HeatError(400, "InvalidTemplateReference", message)


def _check_output(name: str, output: Json, known: JsonObject) -> None:
    if not isinstance(output, Mapping):
        raise invalid("Each output definition must contain a map")
    for _, function, argument in calls(output.get("value"), ""):
        target = _target(function, argument)
        if target is not None and target not in known:
            wrong = f'The specified reference "{target}" (in unknown) is incorrect.'
            raise invalid(f"outputs.{name}.value.{function}: {wrong}")
        if function == "str_replace" and not _replacement(argument):
            raise invalid(f"outputs.{name}.value.str_replace: {_REPLACE_SYNTAX}")


def calls(node: Json, place: str) -> Iterator[tuple[str, str, Json]]:
    """All function calls under `node`: (where, function, argument)."""
    if isinstance(node, Mapping):
        function = function_of(node)
        for key, value in node.items():
            if key == function:
                yield place, key, value
                yield from calls(value, place)
            else:
                yield from calls(value, f"{place}.{key}")
    elif isinstance(node, list):
        for value in node:
            yield from calls(value, place)


def function_of(node: JsonObject) -> str | None:
    """The function that this map is a call of; only a map with a single key can be one."""
    if len(node) != 1:
        return None
    key = next(iter(node))
    return key if key in FUNCTIONS else None


def _ordered(resources: dict[str, ResourceDefinition]) -> dict[str, ResourceDefinition]:
    """Topological order. Raises HeatError(CircularDependencyException)."""
    done: dict[str, ResourceDefinition] = {}
    waiting = dict(resources)
    while waiting:
        ready = [name for name, one in waiting.items() if all(other in done for other in one.requires)]
        if not ready:
            cycle = {name: list(one.requires) for name, one in waiting.items()}
            raise HeatError(400, "CircularDependencyException", f"Circular Dependency Found: {cycle}")
        for name in ready:
            done[name] = waiting.pop(name)
    return done


# -------------------------------------------------------------------------------------------- evaluation

_REPLACE_SYNTAX = (
    '\'"str_replace" syntax should be str_replace:\n              template: This is var1 template var2\n'
    "              params:\n                var1: a\n                var2: string'"
)


def evaluate(node: Json, scope: Scope) -> Json:
    """`node` with all functions replaced by their values. Raises FunctionError."""
    if isinstance(node, Mapping):
        function = function_of(node)
        if function is None:
            return {key: evaluate(value, scope) for key, value in node.items()}
        return _call(function, node[function], scope)
    if isinstance(node, list):
        return [evaluate(value, scope) for value in node]
    return node


def _call(function: str, argument: Json, scope: Scope) -> Json:
    if function == "str_replace":
        return _str_replace(argument, scope)
    argument = evaluate(argument, scope)
    if function == "get_resource":
        return scope.reference(argument)
    if function == "get_param":
        name, *path = argument if isinstance(argument, list) else [argument]
        return _walk(scope.parameter(name), path)
    if not isinstance(argument, list) or len(argument) < 2:
        raise FunctionError(
            'Arguments to "get_attr" must be of the form [resource_name, attribute, (path), ...]'
        )
    resource, name, *path = argument
    return _walk(scope.attribute(resource, name), path)


def _walk(value: Json, path: Sequence[Json]) -> Json:
    """Follow keys and indexes; what is not there is "" (as in Heat)."""
    for step in path:
        try:
            value = value[int(step)] if isinstance(value, list) else value[step]
        except (KeyError, IndexError, TypeError, ValueError):
            return ""
    return value


def _replacement(argument: Json) -> bool:
    return isinstance(argument, Mapping) and set(argument) == {"template", "params"}


def _str_replace(argument: Json, scope: Scope) -> str:
    if not _replacement(argument):
        raise FunctionError(_REPLACE_SYNTAX)
    template = evaluate(argument["template"], scope)
    params = evaluate(argument["params"], scope)
    if not isinstance(template, str):
        raise FunctionError('"str_replace" template must be a string')
    if not isinstance(params, Mapping):
        raise FunctionError('"str_replace" params must be a map')
    words = {str(key): _replacing(key, value) for key, value in params.items()}
    return _substitute(template, sorted(filter(None, words), key=len, reverse=True), words)


def _substitute(text: str, keys: Sequence[str], words: Mapping[str, str]) -> str:
    """Longest key first; what was put in is never searched again."""
    if not keys:
        return text
    pieces = [_substitute(piece, keys[1:], words) for piece in text.split(keys[0])]
    return words[keys[0]].join(pieces)


def _replacing(key: str, value: Json) -> str:
    if value is None:
        return ""
    if isinstance(value, str | int | float):
        return str(value)
    raise FunctionError(f'"str_replace" params must be strings or numbers, param {key} is not valid')
