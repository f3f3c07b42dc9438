"""What differs between a recording and its replay, and which of it this project decided on purpose.

Guarantees: every job, Heat request, heat_stacks, job_state, `/state` and `/monitoring` value of the recording is
looked for, and every one that we wrote besides is reported. Random suffixes, the order inside sets, timing and
internal keys (contract 0.3) are not compared. A difference is decided only by a named rule below.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from actors.core import keys
from actors.core.model import Job, Json, Param, ParamType, Ref
from sim.replay.conductor import Played
from sim.replay.recording import Recording, Version

LOST = "lost-by-watcher"
#: name → (section of the contract, what we do instead)
DECISIONS = {
    "null-left-out": ("3.5, 10.26", "a null parameter is not sent, so that Heat takes its default"),
    "json-for-string": ("9.3 quirk 31", "an array or object for a string parameter is sent as JSON text"),
    "passive-monitor": (
        "6.2, README Limits",
        "monitors that are not SNMP are ACTIVE at once and not published",
    ),
    "target-in-stack": ("6.4, README Limits", "targets registered inside a stack are Heat's business"),
    LOST: ("INDEX, mind 3", "the recording lacks a value that its own watcher lost"),
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference. `decision`: the rule that makes it intended, or ""."""

    kind: str
    where: str
    what: str
    decision: str = ""


@dataclass(slots=True)
class Report:
    """All differences, and how much was compared, by kind."""

    compared: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)

    @property
    def unexplained(self) -> list[Difference]:
        """Those that no decision covers."""
        return [difference for difference in self.differences if not difference.decision]


@dataclass(slots=True)
class Ours:
    """What the replay wrote, by resource and version."""

    jobs: dict[Version, list[Job]] = field(default_factory=lambda: defaultdict(list))
    stacks: dict[Version, Any] = field(default_factory=dict)
    job_states: dict[Version, list[Any]] = field(default_factory=lambda: defaultdict(list))
    states: dict[Version, Any] = field(default_factory=dict)
    monitoring: dict[Version, Any] = field(default_factory=dict)


def compare(run: Recording, played: Played) -> Report:
    """Compare everything."""
    report, ours = Report(), _ours(run, played)
    for problem in played.problems:
        report.differences.append(Difference("problem", "", problem))
    for kind, check in (
        ("jobs", _jobs),
        ("heat requests", lambda r, _: _requests(r, played)),
        ("heat_stacks", _stacks),
        ("job_state", _job_states),
        ("state", _states),
        ("monitoring", lambda r, o: _monitoring(r, o, frozenset(played.watched))),
    ):
        for found in check(run, ours):
            report.compared[kind] += 1
            report.differences.extend(found)
    return report


Found = Iterator[list[Difference]]


def _ours(run: Recording, played: Played) -> Ours:
    ours, versions, stacks = Ours(), dict[Ref, int](), dict[Ref, Any]()
    for _, key, raw in played.history:
        if raw is None:
            ref = run.types.ref(key, keys.JOB_STATE)
            if ref is not None:
                ours.job_states[ref, versions.get(ref, 0)].append(None)
            continue
        if key.startswith(keys.JOBS):
            job = keys.decode_job(key, raw)
            versions[job.ref] = job.version
            ours.jobs[job.ref, job.version].append(job)
        elif (ref := run.types.ref(key, keys.HEAT_STACKS)) is not None:
            stacks[ref] = json.loads(raw)
            ours.stacks[ref, versions[ref]] = stacks[ref]
        elif (ref := run.types.ref(key, keys.JOB_STATE)) is not None:
            results = json.loads(raw)
            ours.job_states[ref, versions[ref]].append(results)
            if "heat_outputs" in results:  # a record that is the same as before is not written again
                ours.stacks[ref, versions[ref]] = stacks[ref]
        elif (ref := run.types.ref(key, keys.STATE)) is not None:
            value = json.loads(raw)
            ours.states[ref, value["version"]] = value
        elif (ref := run.types.ref(key, keys.MONITORING)) is not None:
            value = json.loads(raw)
            ours.monitoring[ref, value["version"]] = value
    return ours


def _members(kind: str, where: str, theirs: dict[str, Json], ours: dict[str, Json]) -> list[Difference]:
    """Member by member."""
    return [
        Difference(kind, where, f"{name}: recorded {_short(theirs.get(name))}, ours {_short(ours.get(name))}")
        for name in sorted(theirs.keys() | ours.keys())
        if theirs.get(name, _ABSENT) != ours.get(name, _ABSENT)
    ]


_ABSENT = object()


def _short(value: Json) -> str:
    text = json.dumps(value, default=lambda v: sorted(map(str, v)) if isinstance(v, frozenset) else str(v))
    return text if len(text) <= 300 else text[:300] + "…"


def _where(version: Version) -> str:
    return f"{version[0]} version {version[1]}"


# --------------------------------------------------------------------------------------------------- jobs


def _stem(job_id: str) -> str:
    return job_id.rpartition(":")[0]


def _param(param: Param) -> dict[str, Json]:
    inner = param.value
    if param.type is ParamType.LIST:
        inner = [{**entry, "resources": sorted(map(str, entry["resources"]))} for entry in param.value]
    return {"type": param.type.value, "value": inner, "resources": sorted(map(str, set(param.resources)))}


def _job(job: Job) -> dict[str, Json]:
    plain: dict[str, Json] = {
        "handler": job.handler.value,
        "action": job.action.value,
        "job_name": job.name,
        "is_first": job.is_first,
        "is_last": job.is_last,
        "on_failure": job.on_failure.value,
        "resource_input": job.resource_input,
        "dependency": sorted({_stem(each) for each in job.dependency}),
    }
    return plain | {f"params.{param.name}": _param(param) for param in job.params}


def _jobs(run: Recording, ours: Ours) -> Found:
    theirs_by_id = {_stem(job.id): job for jobs in run.jobs.values() for job in jobs}
    ours_by_id = {_stem(job.id): job for jobs in ours.jobs.values() for job in jobs}
    for job_id, job in theirs_by_id.items():
        mine = ours_by_id.get(job_id)
        if mine is None:
            yield [Difference("jobs", job_id, "not planned")]
        else:
            yield _members("jobs", job_id, _job(job), _job(mine))
    for job_id, job in ours_by_id.items():
        if job_id not in theirs_by_id:
            version = (job.ref, job.version)
            lost = version not in run.jobs and version in run.answers
            yield [Difference("jobs", job_id, "planned, but not recorded", LOST if lost else "")]


# ----------------------------------------------------------------------------------------------- requests


def _requests(run: Recording, played: Played) -> Found:
    mine = defaultdict[str, list[dict[str, Any]]](list)
    for request in played.requests:
        mine[request["stack_name"]].append(request)
    for recorded in run.requests:
        name = recorded["stack_name"]
        where = f"{recorded['action']} {name}"
        if not mine[name]:
            yield [Difference("heat requests", where, "not sent")]
            continue
        request = mine[name].pop(0)
        same_action = {"modify": "update"}.get(recorded["action"], recorded["action"]) == request["action"]
        found = [] if same_action else [Difference("heat requests", where, f"sent as {request['action']}")]
        if "parameters" in recorded:
            found += _request(run, where, recorded, request)
        yield found
    for name, left in mine.items():
        for request in left:
            yield [Difference("heat requests", f"{request['action']} {name}", "sent, but not recorded")]


def _request(
    run: Recording, where: str, recorded: dict[str, Any], request: dict[str, Any]
) -> list[Difference]:
    found: list[Difference] = []
    minutes = recorded.get("timeout_mins") or recorded.get("timeout_mins_shown")
    if minutes is not None and int(minutes) != request["timeout_min"]:
        found.append(Difference("heat requests", where, f"timeout {minutes}, ours {request['timeout_min']}"))
    source = run.templates.get(recorded.get("template", ""))
    template = _yaml(source) if source is not None else request["template"]
    if source is None:
        found.append(Difference("heat requests", where, "its rendered template was not recorded", LOST))
    elif template != request["template"]:
        found += _members("heat requests", f"{where} template", template, request["template"])
    theirs, ours = recorded["parameters"], request["parameters"]
    for name in sorted(theirs.keys() | ours.keys()):
        value, mine = theirs.get(name, _ABSENT), ours.get(name, _ABSENT)
        if value == mine:
            continue
        decision = _parameter_decision(template.get("parameters", {}).get(name), value, mine)
        what = f"parameter {name}: recorded {_short(theirs.get(name))}, ours {_short(ours.get(name))}"
        found.append(Difference("heat requests", where, what, decision))
    return found


def _parameter_decision(declared: Json, theirs: object, ours: object) -> str:
    if theirs is None and ours is _ABSENT:
        return "null-left-out"
    is_string = isinstance(declared, dict) and declared.get("type") == "string"
    if is_string and isinstance(theirs, list | dict) and isinstance(ours, str) and _means(ours, theirs):
        return "json-for-string"
    return ""


def _means(text: str, value: Json) -> bool:
    try:
        return bool(json.loads(text) == value)
    except ValueError:
        return False


_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_BASE):  # type: ignore[misc]  # the base is chosen at run time: C if it is built
    """Dates stay text, as in Heat."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _yaml(text: str) -> dict[str, Any]:
    loaded = yaml.load(text, _Loader)  # noqa: S506 - a safe loader without dates
    assert isinstance(loaded, dict), "a recorded template is a HOT document"
    return loaded


# ------------------------------------------------------------------------------------------------- values


def _by_key(outputs: Iterable[dict[str, Json]]) -> dict[str, Json]:
    return {output["output_key"]: output for output in outputs}


def _stacks(run: Recording, ours: Ours) -> Found:
    for version in run.stacks.keys() | ours.stacks.keys():
        theirs, mine = dict(run.stacks.get(version, {})), dict(ours.stacks.get(version, {}))
        if version in run.inferred:
            yield [Difference("heat_stacks", _where(version), f"ours {_short(mine)}", LOST)]
            continue
        for value in (theirs, mine):
            if "output" in value:
                value["output"] = _by_key(value["output"])
        yield _members("heat_stacks", _where(version), theirs, mine)


def _job_states(run: Recording, ours: Ours) -> Found:
    for version in run.job_states.keys() | ours.job_states.keys():
        theirs = _distinct(run.job_states.get(version, []))
        mine = _distinct(ours.job_states.get(version, []))
        if theirs == mine:
            yield []
            continue
        # the recording's watcher lost the last event of one workflow (INDEX, mind 3)
        lost = theirs == mine[:-1] and mine[-1] is None
        key = keys.JOB_STATE + run.types.path(version[0])
        if any(run.lacks(f"job_state_{kind}", key) for kind in ("set", "compareAndSwap", "compareAndDelete")):
            rest = iter(mine)
            lost = lost or all(value in rest for value in theirs)
        what = f"recorded {_short(theirs)}, ours {_short(mine)}"
        yield [Difference("job_state", _where(version), what, LOST if lost else "")]


def _distinct(values: list[Any]) -> list[Any]:
    """The sequence without repetitions, outputs by key."""
    found: list[Any] = []
    for value in values:
        plain = value
        if isinstance(value, dict) and "heat_outputs" in value:
            plain = {**value, "heat_outputs": _by_key(value["heat_outputs"])}
        if not found or found[-1] != plain:
            found.append(plain)
    return found


def _states(run: Recording, ours: Ours) -> Found:
    for version in run.states.keys() | ours.states.keys():
        theirs, mine = _state(run.states.get(version)), _state(ours.states.get(version))
        if not theirs and run.lacks("state_set", keys.STATE + run.types.path(version[0])):
            yield [Difference("state", _where(version), f"ours {_short(mine)}", LOST)]
            continue
        yield _members("state", _where(version), theirs, mine)


def _state(value: Any) -> dict[str, Json]:
    if value is None:
        return {}
    plain: dict[str, Json] = {"version": value["version"], "error": value["error"]}
    for name, member in value["state"].items():
        parsed = json.loads(member) if name in ("heat_outputs", "state_monitoring") else member
        plain[f"state.{name}"] = _by_key(parsed) if name == "heat_outputs" else parsed
    return plain


def _monitoring(run: Recording, ours: Ours, watched: frozenset[Version]) -> Found:
    for version in run.monitoring.keys() | ours.monitoring.keys():
        theirs, mine = run.monitoring.get(version, {}), ours.monitoring.get(version, {})
        if not mine:
            decision = "passive-monitor" if run.first_generation else "target-in-stack"
            if version in watched:
                decision = ""
            yield [Difference("monitoring", _where(version), f"recorded {_short(theirs)}", decision)]
        else:
            yield _members("monitoring", _where(version), theirs, mine)
