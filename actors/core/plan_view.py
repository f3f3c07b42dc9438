"""What planning sees of the world, and which templates a declaration calls for (contract 4).

Guarantees: nothing here changes anything; `references` never raises. Does not plan (`core.plan`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from actors.core.errors import ErrorClass, Failure
from actors.core.keys import TypeTable
from actors.core.mapping import (
    Constant,
    Context,
    Expression,
    MappingError,
    MissingResource,
    compile_mappings,
    evaluate,
    parse,
)
from actors.core.model import Action, Declared, Handler, JsonObject, Ref, Template


class PlanError(Exception):
    """A declaration that no retry will make plannable: `failure` is INVALID and names what is wrong."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.failure = Failure(ErrorClass.INVALID, "PlanError", text)


@dataclass(frozen=True, slots=True)
class CompiledTemplate:
    """A template document, parsed once per revision. `error` tells why it cannot be used ("": it can). Of one that is
    not `readable` nothing but the id is known."""

    template: Template
    mappings: Mapping[str, Expression]
    error: str = ""
    readable: bool = True


@dataclass(frozen=True, slots=True)
class LiveJob:
    """An unfinished job, as far as others may depend on it."""

    id: str
    action: Action
    handler: Handler
    ref: Ref


class PlanView(Protocol):
    """What planning sees of the world, at one moment."""

    @property
    def types(self) -> TypeTable:
        """All resource types."""

    def declared(self, ref: Ref) -> JsonObject | None:
        """The latest declared body, or None."""

    def template(self, template_id: str) -> CompiledTemplate | None:
        """The latest document of that id, or None."""

    def jobs_of(self, ref: Ref) -> Iterable[LiveJob]:
        """The unfinished jobs of a resource."""

    def jobs_referring(self, ref: Ref) -> Iterable[LiveJob]:
        """The unfinished jobs whose own parameters list this resource."""

    def built(self, ref: Ref) -> frozenset[Handler]:
        """Handlers known to have left something of it: a recorded stack, registered monitoring targets."""


def compile_template(template: Template) -> CompiledTemplate:
    """Parse a template document; what is wrong with it is told when somebody wants to use it."""
    try:
        return CompiledTemplate(template, compile_mappings(template.parameter_mappings))
    except MappingError as error:
        return CompiledTemplate(template, {}, str(error))


def template_ids(view: PlanView, declared: Declared) -> dict[Handler, str]:
    """The template that each handler uses for this body; a handler without one is absent (contract 4).

    An id without a document counts as none: which templates exist tells the generation (contract 0.2).
    Raises PlanError for a `template_path` that cannot be evaluated, MissingResource.
    """
    return {h: name for h, name in named_templates(view, declared).items() if view.template(name) is not None}


def references(view: PlanView, declared: Declared) -> tuple[Ref, ...]:
    """All resources that the declaration's mappings walk through, itself excluded, sorted.

    What cannot be evaluated (yet) adds the missing resource, or nothing. Raises nothing.
    """
    found: set[Ref] = set()
    try:
        templates = template_ids(view, declared)
    except MissingResource as missing:
        return (missing.ref,)
    except PlanError:
        templates = {}
    context = context_of(view, declared)
    for template_id in templates.values():
        compiled = view.template(template_id)
        for name, expression in compiled.mappings.items() if compiled else ():
            found |= _walked(expression, context, name)
    return tuple(sorted(found - {declared.ref}))


def _walked(expression: Expression, context: Context, name: str) -> set[Ref]:
    """What one mapping walks through; one resource that is missing does not hide those after it."""
    missing: dict[Ref, JsonObject] = {}

    def lookup(ref: Ref) -> JsonObject | None:
        body = context.lookup(ref)
        return body if body is not None else missing.get(ref)

    tolerant = context
    while True:
        try:
            return {*evaluate(expression, tolerant, name).resources, *missing}
        except MissingResource as one:
            if one.ref in missing:
                return {*missing}
            missing[one.ref] = {"id": one.ref.id}
            tolerant = replace(context, lookup=lookup)
        except MappingError:
            return {*missing}


def context_of(view: PlanView, declared: Declared) -> Context:
    """The context in which the mappings of this declaration are evaluated."""
    return Context(declared.ref, declared.body, declared.version, view.types.relations, view.declared)


def named_templates(view: PlanView, declared: Declared) -> dict[Handler, str]:
    """The ids that `template_path` evaluates to, whether there is a document or not. Raises like above."""
    kind = view.types.get(declared.ref.type)
    if kind is None:
        raise PlanError(f"{declared.ref}: resource type {declared.ref.type!r} is not known")
    named: dict[Handler, str] = {}
    for handler, raw in kind.template_path.items():
        try:
            path = view.types.parsed.get((kind.name, handler))
            if path is None:
                path = view.types.parsed[kind.name, handler] = parse(raw)
            if isinstance(path, Constant):
                value = path.value
            else:
                value = evaluate(path, context_of(view, declared)).value
        except MissingResource:
            raise
        except MappingError as error:
            raise PlanError(f"{declared.ref}: template_path for {handler.value}: {error.text}") from error
        if value is None:
            continue
        if not isinstance(value, str) or not value:
            raise PlanError(f"{declared.ref}: template_path for {handler.value} yields no template id")
        named[handler] = value
    return named
