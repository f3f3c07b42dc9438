"""What is to be done for one declaration: its jobs, their parameters, their dependencies (contract 2.4, 2.5).

Guarantees: a plan is a function of the view and the declarations alone, job ids included; a job never
depends on a job of its own resource outside its workflow; a plan depends only on jobs that live already, so
plans alone can never make a cycle of jobs. Raises PlanError for what can not be planned and MissingResource
for what can not be planned yet. Does not decide when a plan is carried out (`core.machine`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Final

from actors.core.mapping import Context, MappingError, MissingResource, evaluate, evaluate_all
from actors.core.model import Action, Declared, Handler, Job, OnFailure, Param, ParamType, Ref, Workflow
from actors.core.outcome import DELETE_COMPLETED, READ_COMPLETE, Realised, choose_action
from actors.core.plan_view import (
    CompiledTemplate,
    LiveJob,
    PlanError,
    PlanView,
    compile_template,
    context_of,
    named_templates,
    references,
    template_ids,
)
from actors.core.tenants import wrong_tenant

__all__ = [
    "CompiledTemplate",
    "Jobless",
    "LiveJob",
    "MissingResource",
    "PlanError",
    "PlanView",
    "Realised",
    "choose_action",
    "compile_template",
    "job_id",
    "named_templates",
    "plan",
    "references",
    "template_ids",
]

_SUFFIX_LENGTH: Final = 5
_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz0123456789"
#: What a job of a related resource must do for a new job to wait for it (contract 2.5, producers).
_PRODUCING: Final = frozenset({Action.CREATE, Action.MODIFY})


@dataclass(frozen=True, slots=True)
class Jobless:
    """A version that needs no job: `worker_state` is written to `/state` at once (contract 2.2, 10.9).

    `missing` are template ids that are named but of which there is no document (the reason, if not empty).
    """

    ref: Ref
    version: int
    worker_state: str
    missing: tuple[str, ...] = ()


def job_id(action: Action, handler: Handler, ref: Ref, version: int, salt: str) -> str:
    """`<action>:<handler>:<type>:<id>:<version>:<suffix>` (contract 2.3). Equal arguments, equal id."""
    stem = f"{action.value}:{handler.value}:{ref}:{version}"
    number = int.from_bytes(blake2b(f"{stem}:{salt}".encode(), digest_size=8).digest())
    suffix = ""
    for _ in range(_SUFFIX_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        suffix += _ALPHABET[digit]
    return f"{stem}:{suffix}"


def plan(
    view: PlanView,
    declared: Declared,
    previous: Declared | None,
    action: Action,
    *,
    salt: str,
) -> Workflow | Jobless:
    """The workflow that brings a resource to the declared version, or that none is needed.

    `previous` is the last accepted declaration; `action` is CREATE, MODIFY or LOGICAL_DELETE; `salt` goes
    into the job ids. A delete removes what is built even if the body names no template for it any more.
    Raises PlanError, MissingResource (never for a delete).
    """
    return _Planner(view, declared, previous or declared, action, salt).run()


# ----------------------------------------------------------------------------------------------- workflows


@dataclass(frozen=True, slots=True)
class _Step:
    """A job before it has an id: which declaration and template give its values."""

    action: Action
    handler: Handler
    template: str | None
    values_from: Declared
    lenient: bool = False
    on_failure: OnFailure = OnFailure.FAIL


@dataclass(frozen=True, slots=True)
class _Planner:
    view: PlanView
    declared: Declared
    previous: Declared
    action: Action
    salt: str

    def run(self) -> Workflow | Jobless:
        ref, version = self.declared.ref, self.declared.version
        if self.action is Action.LOGICAL_DELETE:
            steps = self._delete()
        else:
            steps = self._create() if self.action is Action.CREATE else self._modify()
            wrong = wrong_tenant(self.declared.body)
            if wrong and any(step.handler is Handler.HEAT for step in steps):
                raise PlanError(f"{ref}: {wrong}")
        if not steps:
            gone = self.action is Action.LOGICAL_DELETE
            return Jobless(ref, version, DELETE_COMPLETED if gone else READ_COMPLETE, self._missing())
        params = [self._params(step) for step in steps]
        external = self._external({ref for each in params for param in each for ref in param.resources})
        return Workflow(ref, version, self.action, self._jobs(steps, params, external), external)

    def _missing(self) -> tuple[str, ...]:
        if self.action is Action.LOGICAL_DELETE:
            return ()
        named = named_templates(self.view, self.declared).values()
        return tuple(sorted(name for name in named if self.view.template(name) is None))

    def _create(self) -> list[_Step]:
        templates, new = template_ids(self.view, self.declared), self.declared
        return [
            _Step(Action.CREATE, handler, templates[handler], new)
            for handler in (Handler.HEAT, Handler.MONITORING)
            if handler in templates
        ]

    def _modify(self) -> list[_Step]:
        new, old = self.declared, self.previous
        after, before = template_ids(self.view, new), self._templates_before()
        steps: list[_Step] = []
        if Handler.MONITORING in before or Handler.MONITORING in self.view.built(new.ref):
            # accepted is what was planned last: what is watched may be of a version before it
            template, ignore = before.get(Handler.MONITORING), OnFailure.IGNORE
            steps.append(
                _Step(Action.DELETE, Handler.MONITORING, template, old, lenient=True, on_failure=ignore)
            )
        if Handler.HEAT in after:
            steps.append(_Step(Action.MODIFY, Handler.HEAT, after[Handler.HEAT], new))
        if Handler.MONITORING in after:
            steps.append(_Step(Action.CREATE, Handler.MONITORING, after[Handler.MONITORING], new))
        return steps

    def _delete(self) -> list[_Step]:
        """Nothing a template says may keep a resource from being deleted: all of it is lenient."""
        old, new, built = self.previous, self.declared, self.view.built(self.declared.ref)
        before = self._templates_before()
        try:
            after = template_ids(self.view, new)
        except (PlanError, MissingResource):
            after = {}
        named = {*after, *before}
        if wrong_tenant(new.body):
            named.discard(Handler.HEAT)  # no stack can be there; one that is recorded is where it was built
        return [
            _Step(
                Action.LOGICAL_DELETE,
                handler,
                after.get(handler) or before.get(handler),
                old if handler is Handler.MONITORING else new,
                lenient=True,
            )
            for handler in (Handler.MONITORING, Handler.HEAT)
            if handler in named or handler in built
        ]

    def _templates_before(self) -> dict[Handler, str]:
        try:
            return template_ids(self.view, self.previous)
        except (PlanError, MissingResource):
            return {}

    def _jobs(
        self, steps: list[_Step], params: list[tuple[Param, ...]], external: tuple[str, ...]
    ) -> tuple[Job, ...]:
        ref, version, last = self.declared.ref, self.declared.version, len(steps) - 1
        ids = [job_id(step.action, step.handler, ref, version, self.salt) for step in steps]
        return tuple(
            Job(
                id=ids[index],
                action=step.action,
                handler=step.handler,
                ref=ref,
                version=version,
                resource_input=self.declared.body,
                params=params[index],
                dependency=tuple(ids[:index]) if index else external,
                is_first=index == 0,
                is_last=index == last,
                on_failure=step.on_failure,
            )
            for index, step in enumerate(steps)
        )

    # ------------------------------------------------------------------------------------------ parameters

    def _params(self, step: _Step) -> tuple[Param, ...]:
        """Values from one declaration, resources from old and new (contract 3.3), each once."""
        compiled = self.view.template(step.template) if step.template is not None else None
        if compiled is None:
            return ()
        if not step.lenient:
            _check(self.declared.ref, compiled, step.handler)
        values = self._values(compiled, step)
        sources = (self.declared,) if self.action is Action.CREATE else (self.previous, self.declared)
        others = [
            None if source is step.values_from else self._resources(compiled, source) for source in sources
        ]
        merged: list[Param] = []
        for param in values:
            union = (param.resources if other is None else other[param.name] for other in others)
            resources = tuple(dict.fromkeys(ref for refs in union for ref in refs))
            merged.append(param if resources == param.resources else replace(param, resources=resources))
        return tuple(merged)

    def _values(self, compiled: CompiledTemplate, step: _Step) -> tuple[Param, ...]:
        context = context_of(self.view, step.values_from)
        if step.lenient:
            return _evaluate_leniently(compiled, context)
        try:
            return evaluate_all(compiled.mappings, context)
        except MissingResource:
            raise
        except MappingError as error:
            where = f"{self.declared.ref}: template {compiled.template.id!r}"
            raise PlanError(f"{where}: {error}") from error

    def _resources(self, compiled: CompiledTemplate, source: Declared) -> dict[str, tuple[Ref, ...]]:
        params = _evaluate_leniently(compiled, context_of(self.view, source))
        return {param.name: param.resources for param in params}

    # ---------------------------------------------------------------------------------------- dependencies

    def _external(self, related: set[Ref]) -> tuple[str, ...]:
        """Jobs of other resources that the first job waits for (contract 2.5, 10.11), in a fixed order."""
        me = self.declared.ref
        found = {
            job.id
            for ref in related
            for job in self.view.jobs_of(ref)
            if job.handler is Handler.HEAT and job.action in _PRODUCING and job.ref != me
        }
        if self.action is not Action.CREATE:
            found.update(job.id for job in self.view.jobs_referring(me) if job.ref != me)
        return tuple(sorted(found))


def _check(ref: Ref, compiled: CompiledTemplate, handler: Handler) -> None:
    where = f"{ref}: template {compiled.template.id!r}"
    if compiled.error:
        raise PlanError(f"{where}: {compiled.error}")
    if compiled.template.handler is not handler:
        raise PlanError(f"{where} is for {compiled.template.handler.value}, not for {handler.value}")


def _evaluate_leniently(compiled: CompiledTemplate, context: Context) -> tuple[Param, ...]:
    """Like `evaluate_all`, but what cannot be evaluated is null."""
    params: list[Param] = []
    for name, expression in compiled.mappings.items():
        try:
            params.append(evaluate(expression, context, name))
        except MappingError:
            params.append(Param(name, ParamType.VALUE, None))
    return tuple(params)
