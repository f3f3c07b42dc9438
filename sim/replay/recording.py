"""A recorded run as `INDEX.md` of the traces describes it, read into plain values.

Guarantees: the order of `steps` is that of the recording; config writes that the watcher lost are where
`config.json` has them, and a stack whose record it lost ends where its outputs were recorded. What a file lacks is
missing here too; nothing is made up.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from actors.core import keys
from actors.core.keys import TypeTable
from actors.core.model import Handler, Job, Ref
from actors.core.outcome import orchestration_state
from config.gohan import load_schemas, with_monitoring
from config.types import load_types

Version = tuple[Ref, int]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing in the recorded order. `what`: config, heat (a stack is done) or state (an outcome is written)."""

    what: str
    key: str
    value: Any = None
    ref: Ref | None = None
    version: int = 0


@dataclass(slots=True)
class Recording:
    """Everything that is compared, by resource and version; and the steps to play."""

    name: str
    types: TypeTable
    steps: list[Step] = field(default_factory=list)
    jobs: dict[Version, list[Job]] = field(default_factory=dict)
    stacks: dict[Version, dict[str, Any]] = field(default_factory=dict)
    job_states: dict[Version, list[Any]] = field(default_factory=dict)
    states: dict[Version, dict[str, Any]] = field(default_factory=dict)
    monitoring: dict[Version, dict[str, Any]] = field(default_factory=dict)
    requests: list[dict[str, Any]] = field(default_factory=list)
    templates: dict[str, str] = field(default_factory=dict)
    templates_written: dict[str, Any] = field(default_factory=dict)
    #: How stacks ended whose record the watcher lost, as far as other records tell.
    inferred: dict[Version, dict[str, Any]] = field(default_factory=dict)
    #: Keys of events that the watcher is known to have lost, by kind (`known_missing`).
    lost: dict[str, frozenset[str]] = field(default_factory=dict)

    def lacks(self, kind: str, key: str) -> bool:
        """Whether an event of that kind (`state_set`…) is known to be lost."""
        return key in self.lost.get(kind, frozenset())

    @property
    def answers(self) -> dict[Version, dict[str, Any]]:
        """How each stack ended, in the order of the recording but for what is inferred."""
        return self.stacks | self.inferred

    @property
    def first_generation(self) -> bool:
        """Whether this deployment had monitoring templates (contract 0.2)."""
        return any(job.handler is Handler.MONITORING for jobs in self.jobs.values() for job in jobs)


def find_types(folder: Path) -> TypeTable:
    """Gohan's schemas beside the run or in the newest set of the traces; else our own table."""
    for place in (folder, folder.parent, folder.parent.parent / "new", folder.parent.parent):
        path = place / "gohan_schemas.json"
        if path.is_file():
            return with_monitoring(load_schemas(json.loads(path.read_text())))
    return load_types()


def load(folder: Path) -> Recording:
    """Read a run. Raises FileNotFoundError, ValueError or KeyError for what is no run."""
    run = Recording(f"{folder.parent.name}/{folder.name}", find_types(folder))
    versions = _Versions(run)
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text("utf-8").splitlines()]
    writes = json.loads((folder / "config.json").read_text())["writes"]
    for event in _with_lost_writes(events, writes):
        _take(run, event, versions)
    _infer_stacks(run, versions.results)
    meta = folder / "events_meta.json"
    missing = json.loads(meta.read_text()).get("known_missing", {}) if meta.exists() else {}
    run.lost = {
        kind: frozenset(each for each in lost if isinstance(each, str)) for kind, lost in missing.items()
    }
    document = json.loads((folder / "heat_requests.json").read_text())
    run.requests, run.templates = document["requests"], document["templates"]
    return run


def _with_lost_writes(events: list[dict[str, Any]], writes: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The events, and before the first one that speaks of it each config write that the watcher lost."""
    by_seq = {write["seq"]: _write_event(write) for write in writes}
    events = [_resolved(event, by_seq) for event in events]
    watched = {_identity(event) for event in events if event["key"].startswith(keys.CONFIG)}
    lost = [event for event in by_seq.values() if _identity(event) not in watched]
    for event in events:
        for write in [write for write in lost if write["key"].rpartition("/")[2] in event["key"]]:
            lost.remove(write)
            yield write
        yield event
    yield from lost


def _resolved(event: dict[str, Any], by_seq: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """Templates stand in `config.json` only; the event refers to them."""
    value = event["value"]
    return by_seq[value["$config_seq"]] if isinstance(value, dict) and "$config_seq" in value else event


def _write_event(write: dict[str, Any]) -> dict[str, Any]:
    return {"key": write["key"], "action": write["action"], "value": write.get("value")}


def _identity(event: dict[str, Any]) -> tuple[str, str, Any]:
    value = event["value"]
    version = value.get("version") if isinstance(value, dict) else None
    return event["key"], "delete" if event["action"] in ("delete", "expire") else "set", version


@dataclass(slots=True)
class _Versions:
    """Which version the records that name none are about: that of the last job, or as declared if that was lost."""

    run: Recording
    planned: dict[Ref, int] = field(default_factory=dict)
    declared: dict[Ref, int] = field(default_factory=dict)
    #: Where in the steps a stack's outputs were recorded first, and with what.
    results: dict[Version, tuple[int, dict[str, Any]]] = field(default_factory=dict)

    def begun(self, ref: Ref) -> int:
        """Of a record with which work begins or a stack ends."""
        version = self.planned.get(ref, 0)
        if not version or (ref, version) in self.run.states:
            self.planned[ref] = version = self.declared.get(ref, version)
        return version


def _take(run: Recording, event: dict[str, Any], versions: _Versions) -> None:
    key, value = event["key"], event["value"]
    if key.startswith(keys.CONFIG):
        gone = event["action"] in ("delete", "expire")
        ref = None if key.startswith(keys.TEMPLATES) else run.types.ref(key, keys.CONFIG)
        version = value["version"] if isinstance(value, dict) else 0
        run.steps.append(Step("config", key, None if gone else value, ref, version))
        if ref is not None and not gone:
            versions.declared[ref] = version
        if key.startswith(keys.TEMPLATES):
            run.templates_written[key.rpartition("/")[2]] = value
    elif key.startswith(keys.JOBS) and isinstance(value, list):
        job = keys.decode_job(key, json.dumps(value).encode())
        run.jobs.setdefault((job.ref, job.version), []).append(job)
        versions.planned[job.ref] = job.version
    elif (ref := run.types.ref(key, keys.HEAT_STACKS)) is not None and isinstance(value, dict):
        version = versions.begun(ref)
        run.stacks[ref, version] = value
        run.steps.append(Step("heat", key, value, ref, version))
    elif (ref := run.types.ref(key, keys.JOB_STATE)) is not None:
        _take_job_state(run, ref, event, versions)
    elif (ref := run.types.ref(key, keys.STATE)) is not None and isinstance(value, dict):
        run.states[ref, value["version"]] = value
        run.steps.append(Step("state", key, value, ref, value["version"]))
    elif (ref := run.types.ref(key, keys.MONITORING)) is not None and isinstance(value, dict):
        run.monitoring[ref, value["version"]] = value


def _take_job_state(run: Recording, ref: Ref, event: dict[str, Any], versions: _Versions) -> None:
    value = event["value"] if event["action"] not in ("delete", "compareAndDelete") else None
    version = versions.begun(ref) if value == {} else versions.planned.get(ref, 0)
    run.job_states.setdefault((ref, version), []).append(value)
    if isinstance(value, dict) and "heat_outputs" in value:
        versions.results.setdefault((ref, version), (len(run.steps), value))


def _infer_stacks(run: Recording, results: dict[Version, tuple[int, dict[str, Any]]]) -> None:
    """A stack whose record was lost ended before its outputs were recorded as a result of the job."""
    for (ref, version), (place, value) in sorted(results.items(), key=lambda each: -each[1][0]):
        if (ref, version) in run.stacks:
            continue
        actions = [job.action for job in run.jobs.get((ref, version), ()) if job.handler is Handler.HEAT]
        status = value.get("orchestration_state") or (
            orchestration_state(actions[0], ok=True) if actions else ""
        )
        found = {"output": value["heat_outputs"], "stack_status": status}
        run.inferred[ref, version] = found
        run.steps.insert(place, Step("heat", "", found, ref, version))
