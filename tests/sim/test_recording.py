"""Recorded runs whose watcher lost an event are read all the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from actors.core.keys import CONFIG, HEAT_STACKS, JOB_STATE, JOBS, STATE
from actors.core.model import Ref
from sim.replay.recording import Recording, load

NET = Ref("network", "n1")
PATH = "v2.0/networks/n1"
OUTPUT = [{"output_key": "id", "output_value": "x", "description": ""}]


def job(action: str, version: int) -> dict[str, Any]:
    """A Heat job of the network, put into `/jobs/all`."""
    plain = {
        "id": f"{action}:heat_worker:network:n1:{version}:abcde",
        "job_name": f"network:n1:{version}",
        "action": action,
        "handler": "heat_worker",
        "resource_type": "network",
        "resource_id": "n1",
        "version": version,
        "resource_input": {"id": "n1"},
        "params": [],
        "dependency": [],
        "is_first": True,
        "is_last": True,
        "on_failure": "fail",
    }
    return {"action": "set", "key": JOBS + str(plain["id"]), "value": ["heat_worker", plain, 0]}


def version_of(version: int) -> list[dict[str, Any]]:
    """All events of one version, in order: declared, job, begun, stack, result, outcome, end."""
    action, word = ("create", "CREATE_COMPLETE") if version == 1 else ("modify", "UPDATE_COMPLETE")
    body = json.dumps({"id": "n1"})
    return [
        {"action": "set", "key": CONFIG + PATH, "value": {"body": body, "version": version}},
        job(action, version),
        {"action": "set", "key": JOB_STATE + PATH, "value": {}},
        {"action": "set", "key": HEAT_STACKS + PATH, "value": {"output": OUTPUT, "stack_status": word}},
        {"action": "compareAndSwap", "key": JOB_STATE + PATH, "value": {"heat_outputs": OUTPUT}},
        {"action": "set", "key": STATE + PATH, "value": {"version": version, "state": {}, "error": ""}},
        {"action": "compareAndDelete", "key": JOB_STATE + PATH, "value": None},
    ]


def recording(folder: Path, events: list[dict[str, Any]]) -> Recording:
    """A run with these events."""
    (folder / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    (folder / "config.json").write_text(json.dumps({"writes": []}))
    (folder / "heat_requests.json").write_text(json.dumps({"requests": [], "templates": {}}))
    return load(folder)


@pytest.mark.parametrize("lost", [1, 8], ids=["create", "modify"])
def test_a_lost_job_leaves_its_records_at_their_version(tmp_path: Path, lost: int) -> None:
    """What a job wrote belongs to the version that was declared, though the watcher lost the job."""
    events = version_of(1) + version_of(2)
    whole, run = recording(tmp_path, events), recording(tmp_path, events[:lost] + events[lost + 1 :])
    assert whole.jobs.keys() - run.jobs.keys() == {(NET, 1 if lost == 1 else 2)}
    assert run.stacks.keys() == {(NET, 1), (NET, 2)}
    assert run.job_states == whole.job_states
    assert run.steps == whole.steps


@pytest.mark.parametrize("lost", [3, 10], ids=["create", "modify"])
def test_a_stack_whose_record_was_lost_ends_with_the_outputs_of_its_job(tmp_path: Path, lost: int) -> None:
    """The step is where the result was recorded; how the stack ended follows from the job."""
    events = version_of(1) + version_of(2)
    whole, run = recording(tmp_path, events), recording(tmp_path, events[:lost] + events[lost + 1 :])
    version = (NET, 1 if lost == 3 else 2)
    assert run.stacks.keys() == whole.stacks.keys() - {version}
    assert run.inferred == {version: whole.stacks[version]}
    assert [(s.what, s.ref, s.version, s.value) for s in run.steps] == [
        (s.what, s.ref, s.version, s.value) for s in whole.steps
    ]
    assert whole.inferred == {}
