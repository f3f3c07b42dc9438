"""Replays a recorded run through the planning core: its config writes in order, with its own templates."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from actors.core import keys
from actors.core.model import Action, Declared, Handler, Job, JsonObject, Ref, Template, Workflow
from actors.core.plan import (
    CompiledTemplate,
    Jobless,
    LiveJob,
    Realised,
    choose_action,
    compile_template,
    plan,
    template_ids,
)
from config.gohan import load_schemas, with_monitoring

TRACES = Path(__file__).resolve().parents[3] / "shared" / "traces"
RUNS = tuple(sorted(str(path.parent.relative_to(TRACES)) for path in TRACES.glob("*/*/events.jsonl")))


@cache
def load(name: str) -> Any:
    """A JSON document of the traces."""
    return json.loads((TRACES / name).read_text())


@cache
def types() -> keys.TypeTable:
    """One table for all generations: Gohan's newest schemas and the monitoring templates of the first."""
    return with_monitoring(load_schemas(load("new/gohan_schemas.json")))


@dataclass
class World:
    """A PlanView over plain dictionaries."""

    types: keys.TypeTable = field(default_factory=types)
    bodies: dict[Ref, JsonObject] = field(default_factory=dict)
    templates: dict[str, CompiledTemplate] = field(default_factory=dict)
    live: dict[str, Job] = field(default_factory=dict)
    left: dict[Ref, frozenset[Handler]] = field(default_factory=dict)

    def declared(self, ref: Ref) -> JsonObject | None:
        """As in PlanView."""
        return self.bodies.get(ref)

    def template(self, template_id: str) -> CompiledTemplate | None:
        """As in PlanView."""
        return self.templates.get(template_id)

    def jobs_of(self, ref: Ref) -> Iterable[LiveJob]:
        """As in PlanView."""
        return [_live(job) for job in self.live.values() if job.ref == ref]

    def jobs_referring(self, ref: Ref) -> Iterable[LiveJob]:
        """As in PlanView."""
        return [
            _live(job) for job in self.live.values() if any(ref in param.resources for param in job.params)
        ]

    def built(self, ref: Ref) -> frozenset[Handler]:
        """As in PlanView."""
        return self.left.get(ref, frozenset())


def _live(job: Job) -> LiveJob:
    return LiveJob(job.id, job.action, job.handler, job.ref)


@dataclass(frozen=True)
class Recorded:
    """The jobs of one recorded workflow, in order, and what was live when its first job was queued."""

    jobs: tuple[Job, ...]
    live: dict[str, Job]


@dataclass(frozen=True)
class Case:
    """One resource version: what we plan, what was recorded (None: no job), and the templates used."""

    declared: Declared
    action: Action | None
    planned: Workflow | Jobless | None
    recorded: Recorded | None
    templates: dict[Handler, Template]


def events(run: str) -> list[dict[str, Any]]:
    """The etcd events of a run, in order."""
    with (TRACES / run / "events.jsonl").open() as lines:
        return [json.loads(line) for line in lines]


def recorded_workflows(run: str) -> dict[tuple[Ref, int], Recorded]:
    """By resource and version. Every `/jobs/all` value of the run is in one of them."""
    live: dict[str, Job] = {}
    found: dict[tuple[Ref, int], Recorded] = {}
    for event in events(run):
        if not event["key"].startswith(keys.JOBS) or event["key"] == keys.JOBS:
            continue
        if event["value"] is None or event["action"] == "delete":
            live.pop(event["key"].removeprefix(keys.JOBS), None)
            continue
        job = keys.decode_job(event["key"], json.dumps(event["value"]).encode())
        before = found.get((job.ref, job.version))
        if before is None:
            found[job.ref, job.version] = Recorded((job,), dict(live))
        else:
            found[job.ref, job.version] = Recorded((*before.jobs, job), before.live)
        live[job.id] = job
    return found


def outputs_at_start(run: str) -> dict[tuple[Ref, int], dict[Ref, tuple[JsonObject, ...]]]:
    """All stored stack outputs at the moment when the first job of a resource version was started."""
    outputs: dict[Ref, tuple[JsonObject, ...]] = {}
    versions: dict[Ref, int] = {}
    found: dict[tuple[Ref, int], dict[Ref, tuple[JsonObject, ...]]] = {}
    for event in events(run):
        if event["key"].startswith(keys.JOBS) and isinstance(event["value"], list):
            job = event["value"][1]
            versions[Ref(job["resource_type"], job["resource_id"])] = job["version"]
        stack = types().ref(event["key"], keys.HEAT_STACKS)
        if stack is not None and isinstance(event["value"], dict):
            outputs = {**outputs, stack: tuple(event["value"]["output"])}
        started = types().ref(event["key"], keys.JOB_STATE)
        if started is not None and event["action"] == "set":
            found[started, versions[started]] = outputs
    return found


def states(run: str) -> dict[tuple[Ref, int], dict[str, Any]]:
    """The recorded `/state` values by resource and version."""
    found: dict[tuple[Ref, int], dict[str, Any]] = {}
    for event in events(run):
        ref = types().ref(event["key"], keys.STATE)
        if ref is not None and isinstance(event["value"], dict):
            found[ref, event["value"]["version"]] = event["value"]
    return found


def replay(run: str) -> Iterator[Case]:
    """Every version of every resource of known type, in the order of the config writes."""
    recorded, done = recorded_workflows(run), states(run)
    world = World()
    accepted: dict[Ref, Declared] = {}
    realised: dict[Ref, Realised] = {}
    for write in load(f"{run}/config.json")["writes"]:
        key = write["key"]
        if key.startswith(keys.TEMPLATES):
            template = keys.decode_template(key, json.dumps(write["value"]).encode(), write["seq"])
            world.templates[template.id] = compile_template(template)
            continue
        ref = types().ref(key, keys.CONFIG)
        if ref is None:
            continue
        if write["action"] != "set":
            world.bodies.pop(ref, None)
            accepted.pop(ref, None)
            realised.pop(ref, None)
            continue
        declared = keys.decode_declared(key, json.dumps(write["value"]).encode(), ref, write["seq"])
        world.bodies[ref] = declared.body
        workflow = recorded.get((ref, declared.version))
        world.live = workflow.live if workflow is not None else {}
        action = choose_action(declared, realised.get(ref), built=False)
        planned = plan(world, declared, accepted.get(ref), action, salt=run) if action else None
        used = {handler: world.templates[name] for handler, name in template_ids(world, declared).items()}
        yield Case(declared, action, planned, workflow, {h: each.template for h, each in used.items()})
        accepted[ref] = declared
        state = done.get((ref, declared.version))
        if state is not None:
            realised[ref] = Realised(declared.version, state["state"]["worker_state"])
