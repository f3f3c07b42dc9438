"""The one failing chain of the recordings (old/05): what fails with it and how it is told (contract 2.8, 10.3)."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from actors.core import keys
from actors.core.keys import stack_name
from actors.core.options import Options
from config.monitor_types import load_monitor_types
from sim.heat.engine import Fate, Settings
from sim.replay.recording import load
from tests.actors.rig import Rig

RUN = Path(__file__).parents[3] / "shared" / "traces" / "old" / "05_load_balancer"

pytestmark = pytest.mark.skipif(not RUN.is_dir(), reason="no recorded runs at ../shared/traces")


def test_a_failed_instance_fails_everything_that_waits_for_it() -> None:
    """When the instance's stack fails, exactly the recorded dependents fail, each naming the job it died of."""
    rehearsal = json.loads((RUN / "failure_rehearsal.json").read_text())
    run = load(RUN)
    options = Options(tuple(run.types), monitor_types=load_monitor_types())
    rig = Rig(options=options, heat=Settings(resource_s=2.0))
    instance = next(ref for ref, version in run.jobs if ref.type == "vnf_instance" and version == 1)
    rig.stacks._fate = lambda action, name: Fate.FAIL if name == stack_name(instance) else Fate.NATURAL
    interfaces = 0
    for step in run.steps:
        if step.what != "config" or step.version > 1:
            continue
        rig.put(step.key, step.value)
        interfaces += step.ref is not None and step.ref.type == "load_balancer_interface"
        if interfaces == 3:
            break
    rig.host.advance(1)
    rig.settle(120)

    errors = {row.ref: row.error for row in rig.status().rows if row.error}
    assert "StackFailed" in errors.pop(instance)
    failed_job = next(job for job in rehearsal["failed"] if ":vnf_instance:" in job)
    assert failed_job.startswith("create:heat_worker:vnf_instance:")
    assert Counter(ref.type for ref in errors) == Counter(job.split(":")[2] for job in rehearsal["canceled"])
    for ref, error in errors.items():
        assert "dependency failed: create:heat_worker:" in error, ref
        state = rig.get(keys.STATE + run.types.path(ref))
        assert state["version"] == 1
        assert state["state"]["worker_state"] == "CREATE_FAILED"
        assert state["state"]["orchestration_state"] == "CREATE_ERROR"
        assert state["state"]["heat_outputs"] == "[]"
        assert rig.stacks.find("", stack_name(ref)) == ()
    assert rig.keys(keys.JOBS) == []
    assert rig.keys(keys.JOB_STATE) == []
