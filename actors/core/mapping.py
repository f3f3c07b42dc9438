"""The mapping language: what the entries of `parameter_mappings` and `template_path` mean (contract 3).

Guarantees: `evaluate` is a function of its arguments alone; it raises MappingError and nothing else
(MissingResource when a related resource is not declared); `resources` holds what was walked through, in
visiting order and without duplicates (3.3). Does not bound the time that it takes (whoever plans does, see
`core.limiting`), and does not resolve stack outputs: those are late-bound (`actors.rendering`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from actors.core.limiting import Interrupted
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
    MissingResource,
    Nested,
    Output,
    Step,
    Version,
    late_bound,
)
from actors.core.mapping_parse import parse
from actors.core.model import Json, JsonObject, Param, ParamType, Ref

__all__ = [
    "Constant",
    "Context",
    "Expression",
    "MappingError",
    "MissingResource",
    "compile_mappings",
    "evaluate",
    "evaluate_all",
    "json_equal",
    "parse",
]

Compiled = Mapping[str, Expression]
_ELEMENT: Final = ""


@dataclass(frozen=True, slots=True)
class Context:
    """What a mapping is evaluated against: one resource at one version.

    `relations`: type → property → type. `lookup`: the latest declared body of another resource, or None.
    """

    ref: Ref
    body: JsonObject
    version: int
    relations: Mapping[str, Mapping[str, str]]
    lookup: Callable[[Ref], JsonObject | None]


def compile_mappings(mappings: JsonObject) -> Compiled:
    """Parse a template's `parameter_mappings`. Raises MappingError with `parameter` set."""
    compiled: dict[str, Expression] = {}
    for name, raw in mappings.items():
        try:
            compiled[name] = parse(raw)
        except MappingError as error:
            error.parameter = name
            raise
    return compiled


def evaluate(expression: Expression, context: Context, parameter: str = "") -> Param:
    """The value of one mapping as a job parameter named `parameter` (contract 3.4).

    Raises MappingError or MissingResource, with `parameter` set.
    """
    try:
        result = _evaluate(expression, _Scope(context, parameter, context.ref.type, context.body))
    except MappingError as error:
        error.parameter = parameter
        raise
    except RecursionError as error:
        raise MappingError("a value is nested too deeply", parameter) from error
    except Interrupted as error:
        error.parameter = parameter
        raise
    return Param(parameter, result.type, result.value, tuple(dict.fromkeys(result.resources)))


def evaluate_all(mappings: Compiled, context: Context) -> tuple[Param, ...]:
    """All parameters of a template, in its order. Raises like `evaluate`, at the first that fails."""
    return tuple(evaluate(expression, context, name) for name, expression in mappings.items())


def json_equal(left: Json, right: Json) -> bool:
    """Equality of JSON values: unlike in Python, true is not 1 and false is not 0."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(json_equal(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(json_equal, left, right))
    return bool(left == right)


# ------------------------------------------------------------------------------------------- the machine


class _Scope(NamedTuple):
    """Where evaluation stands: the current object and its type ("" for an element of a loop)."""

    context: Context
    parameter: str
    type: str
    current: Json


class _Result(NamedTuple):
    value: Json
    resources: tuple[Ref, ...] = ()
    type: ParamType = ParamType.VALUE


@dataclass(slots=True)
class _Walk:
    """The end of a path. `scope` is None if something was missing and that is to be ignored."""

    scope: _Scope | None
    target: Ref
    resources: list[Ref] = field(default_factory=list)


class _AbsentError(MappingError):
    """A relation on the way has no id."""


def _evaluate(expression: Expression, scope: _Scope) -> _Result:
    match expression:
        case Constant(value):
            return _Result(value)
        case Version():
            return _Result(scope.context.version)
        case Field():
            return _field(expression, scope)
        case Output():
            return _output(expression, scope)
        case Nested(names):
            return _Result(_nested(names, scope))
        case Concatenation():
            return _concatenate(expression, scope)
        case Loop():
            return _loop(expression, scope)
        case Choice(condition, then, otherwise):
            return _evaluate(then if _holds(condition, scope) else otherwise, scope)


def _property(scope: _Scope, name: str) -> Json:
    """A property of the current object, None if absent."""
    if not isinstance(scope.current, Mapping):
        raise MappingError(f"property {name!r} is asked of something that is no object")
    return scope.current.get(name)


def _field(expression: Field, scope: _Scope) -> _Result:
    if expression.path:
        walk = _walk(expression.path, scope, ignore_missing=expression.ignore_missing)
        if walk.scope is None:
            return _Result("")
        return _Result(_property(walk.scope, expression.name), tuple(walk.resources))
    value = _property(scope, expression.name)
    target = scope.context.relations.get(scope.type, {}).get(expression.name)
    if expression.registers and target is not None and isinstance(value, str) and value:
        return _Result(value, (Ref(target, value),))
    return _Result("" if value is None and expression.ignore_missing else value)


def _output(expression: Output, scope: _Scope) -> _Result:
    walk = _walk(expression.path, scope, ignore_missing=expression.ignore_missing)
    if walk.scope is None:
        return _Result("")
    value = {"output_key": expression.key, **walk.target.to_json()}
    return _Result(value, tuple(walk.resources), ParamType.OUTPUT_KEY)


def _nested(names: tuple[str, ...], scope: _Scope) -> Json:
    value = scope.current
    for name in names:
        if value is None:
            return None
        value = _property(scope._replace(current=value), name)
    return value


def _text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _concatenate(expression: Concatenation, scope: _Scope) -> _Result:
    texts: list[str] = []
    resources: list[Ref] = []
    for part in expression.parts:
        result = _evaluate(part, scope)
        if result.value is None and not expression.ignore_missing:
            raise MappingError(f"{_describe(part)} of a concatenation is null")
        texts.append("" if result.value is None else _text(result.value))
        resources.extend(result.resources)
    return _Result("".join(texts), tuple(resources))


def _describe(part: Expression) -> str:
    match part:
        case Field(name=name):
            return f"the part {name!r}"
        case Nested(names=names):
            return f"the part {':'.join(names)!r}"
        case _:
            return "a part"


def _loop(expression: Loop, scope: _Scope) -> _Result:
    source = _evaluate(expression.over, scope)
    # "" stands for an ignored missing resource: there is nothing to loop over
    elements = [] if source.value in (None, "") else source.value
    if not isinstance(elements, list):
        raise MappingError(f"{expression.over.name!r} must be an array to loop over")
    results = [_evaluate(expression.body, scope._replace(type="", current=element)) for element in elements]
    resources = source.resources + tuple(ref for result in results for ref in result.resources)
    late = [result.type is not ParamType.VALUE for result in results] or [late_bound(expression.body)]
    if not any(late):
        return _Result([result.value for result in results], resources)
    entries = [Param(scope.parameter, result.type, result.value).to_json() for result in results]
    return _Result(entries, resources, ParamType.LIST)


def _holds(condition: Equal | Matches, scope: _Scope) -> bool:
    match condition:
        case Equal(left, right):
            return json_equal(_evaluate(left, scope).value, _evaluate(right, scope).value)
        case Matches(subject, pattern):
            return _matches(_evaluate(subject, scope).value, _evaluate(pattern, scope).value)


def _matches(subject: Json, pattern: Json) -> bool:
    if not isinstance(pattern, str):
        raise MappingError("the pattern of 'regexp' must be text")
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise MappingError(f"the pattern {pattern!r} is no regular expression ({error})") from error
    if subject is None:
        return False
    if not isinstance(subject, str):
        raise MappingError("the subject of 'regexp' must be text")
    return compiled.match(subject) is not None


# -------------------------------------------------------------------------------------------------- paths


def _walk(path: tuple[Step, ...], scope: _Scope, *, ignore_missing: bool) -> _Walk:
    """Follow a path. With `ignore_missing`, a missing id or resource ends it without resources (3.3)."""
    resources: list[Ref] = []
    here, target = scope, scope.context.ref
    try:
        for step in path:
            target = _target(step, here, resources)
            body = _declared(target, scope.context)
            here = _Scope(scope.context, scope.parameter, target.type, body)
            resources.append(target)
    except (MissingResource, _AbsentError):
        if not ignore_missing:
            raise
        return _Walk(None, target)
    return _Walk(here, target, resources)


def _declared(ref: Ref, context: Context) -> JsonObject:
    body = context.lookup(ref)
    if body is None:
        raise MissingResource(ref)
    return body


def _target(step: Step, scope: _Scope, resources: list[Ref]) -> Ref:
    match step:
        case ByType(kind, prop):
            return Ref(kind, _id(scope.current if prop == _ELEMENT else _property(scope, prop), prop, scope))
        case ByRelation(name):
            return _related(name, scope)
        case ByComputedName(concatenation):
            computed = _concatenate(concatenation, scope)
            resources.extend(computed.resources)
            return _related(computed.value, scope)


def _related(name: str, scope: _Scope) -> Ref:
    target = scope.context.relations.get(scope.type, {}).get(name)
    if target is None:
        raise MappingError(f"property {name!r} of {scope.type or 'a loop element'!r} is no relation")
    return Ref(target, _id(_property(scope, name), name, scope))


def _id(value: Json, name: str, scope: _Scope) -> str:
    where = f"property {name!r} of {scope.type or 'the loop element'}" if name else "the loop element"
    if value is None or value == "":
        raise _AbsentError(f"{where} is null: there is no related resource")
    if not isinstance(value, str):
        raise MappingError(f"{where} must be the id of a resource (text)")
    return value
