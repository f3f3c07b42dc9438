"""The recorded runs as oracle: every job, template choice, outcome word and Heat request is reproduced."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from actors.core import keys
from actors.core.mapping import parse
from actors.core.model import Action, Handler, Job, Param, Workflow
from actors.core.outcome import completed_state, orchestration_state
from actors.core.plan import Jobless, compile_template
from actors.rendering import render_heat, render_monitors, resolve, split_params
from actors.template_engine import render_text
from tests.core.replay import (
    RUNS,
    TRACES,
    Case,
    events,
    load,
    outputs_at_start,
    recorded_workflows,
    replay,
    states,
    types,
)

pytestmark = pytest.mark.skipif(not RUNS, reason=f"no recorded runs at {TRACES.parent.name}/{TRACES.name}")

#: Jobs in the seven event logs, counted by the index of the runs, and Heat requests with a body.
RECORDED_JOBS = {
    "new/00_logical_network": 7,
    "new/01_common_function_gateway": 16,
    "new/03_vpn_gateway": 22,
    "old/00_logical_network": 7,
    "old/01_common_function_gateway": 31,
    "old/03_vpn_gateway": 42,
    "old/05_load_balancer": 32,
}

#: Recorded `state_monitoring`, where that is written.
RECORDED_MONITORING = {"old/01_common_function_gateway": 17, "old/03_vpn_gateway": 23}


def _without_suffix(job_id: str) -> str:
    return job_id.rpartition(":")[0]


def _entry(param: Param) -> dict[str, Any]:
    return {"type": param.type, "value": param.value, "resources": set(param.resources)}


def _comparable(job: Job) -> dict[str, Any]:
    """A job without its random suffixes; lists whose order means nothing as sets."""
    return {
        "id": _without_suffix(job.id),
        "name": job.name,
        "action": job.action,
        "handler": job.handler,
        "input": job.resource_input,
        "first, last": (job.is_first, job.is_last),
        "on_failure": job.on_failure,
        "dependency": {_without_suffix(each) for each in job.dependency},
        "params": {param.name: _entry(param) for param in job.params},
    }


def test_all_known_runs_are_here():
    """None of the runs whose jobs were counted is left out; others are replayed as well."""
    assert set(RECORDED_JOBS) <= set(RUNS)


@pytest.mark.parametrize("run", RUNS)
def test_every_recorded_job_is_reproduced(run: str):
    """Planning each config write gives the recorded jobs, all of them and no other."""
    recorded = sum(len(each.jobs) for each in recorded_workflows(run).values())
    assert recorded == RECORDED_JOBS.get(run, recorded) > 0
    reproduced = 0
    for case in replay(run):
        planned = case.planned.jobs if isinstance(case.planned, Workflow) else ()
        expected = case.recorded.jobs if case.recorded is not None else ()
        assert [_comparable(job) for job in planned] == [_comparable(job) for job in expected]
        reproduced += len(planned)
    assert reproduced == recorded


def test_every_recorded_template_can_be_read():
    """All mappings of all template documents, as documented and as run, are within the grammar."""
    documents = [load(str(path.relative_to(TRACES))) for path in TRACES.glob("*/heat_templates/*.json")]
    for run in RUNS:
        writes = load(f"{run}/config.json")["writes"]
        documents += [each["value"] for each in writes if each["key"].startswith(keys.TEMPLATES)]
    templates = [keys.decode_template("t", json.dumps(each).encode(), 0) for each in documents]
    assert [compiled.error for compiled in map(compile_template, templates) if compiled.error] == []
    assert sum(len(template.parameter_mappings) for template in templates) > 6000


@pytest.mark.parametrize("run", RUNS)
def test_every_recorded_outcome_word_follows_from_the_plan(run: str):
    """`worker_state` and `orchestration_state` of every recorded `/state` are those of its plan."""
    recorded, checked = states(run), 0
    jobs = (job for workflow in recorded_workflows(run).values() for job in workflow.jobs)
    first_generation = any(job.handler is Handler.MONITORING for job in jobs)
    for case in replay(run):
        value = recorded.get((case.declared.ref, case.declared.version))
        if value is None:
            continue
        words = {key: value["state"].get(key) for key in ("worker_state", "orchestration_state")}
        assert words == _expected_words(case, first_generation=first_generation)
        checked += 1
    assert checked == len(recorded) > 0


def _expected_words(case: Case, *, first_generation: bool) -> dict[str, str | None]:
    if isinstance(case.planned, Jobless):
        return {"worker_state": case.planned.worker_state, "orchestration_state": None}
    assert isinstance(case.planned, Workflow)
    last = case.planned.jobs[-1]
    orchestration = None if first_generation else orchestration_state(last.action, ok=True)
    return {"worker_state": completed_state(last.action), "orchestration_state": orchestration}


@pytest.mark.parametrize("run", RUNS)
def test_every_template_choice_seen_in_the_logs_is_ours(run: str):
    """Each logged resolution of a template id is made by the same mapping and gives the same id."""
    chosen: dict[tuple[Handler, str], list[Any]] = {}
    for case in replay(run):
        kind = types().get(case.declared.ref.type)
        assert kind is not None
        for handler, template in case.templates.items():
            chosen.setdefault((handler, template.id), []).append(parse(kind.template_path[handler]))
    seen = load(f"{run}/template_mappings_seen.json")
    for each in seen:
        handlers = [Handler(each["component"])] if each["component"] != "job_manager" else list(Handler)
        made_by = [chosen[h, each["template"]] for h in handlers if (h, each["template"]) in chosen]
        assert any(parse(each["mapping"]) in mappings for mappings in made_by), each
    assert seen


@pytest.mark.parametrize("run", RUNS)
def test_every_recorded_heat_request_is_rendered_the_same(run: str):
    """Parameters, Jinja context, timeout and the text of the rendered template are as recorded."""
    document = load(f"{run}/heat_requests.json")
    jobs = {
        job.id: (job, case.templates.get(job.handler))
        for case in replay(run)
        for job in (case.recorded.jobs if case.recorded is not None else ())
    }
    outputs, done = outputs_at_start(run), Counter[str]()
    for request in document["requests"]:
        done[request["action"]] += 1
        job, template = jobs[request["job"]]
        if job.action is Action.LOGICAL_DELETE:
            assert request["action"] == "delete"
            continue
        assert template is not None
        values, missing = resolve(job.params, outputs[job.ref, job.version])
        context, parameters, timeout_min = split_params(values)
        assert (parameters, context, missing) == (request["parameters"], request["jinja_parameters"], {})
        assert timeout_min == int(request["timeout_mins"] or request["timeout_mins_shown"])
        assert render_text(template.source, context) == document["templates"][request["template"]]
        rendered = render_heat(template.source, values, name=template.id)
        assert rendered.template["heat_template_version"] == "2013-05-23"
        declared = rendered.template["parameters"]
        assert rendered.parameters.keys() <= declared.keys()
        assert all("default" in declared[name] for name in declared.keys() - rendered.parameters.keys())
    heat_jobs = sum(job.handler is Handler.HEAT for job, _ in jobs.values())
    assert done.total() == heat_jobs > 0


@pytest.mark.parametrize("run", RUNS)
def test_every_recorded_monitoring_job_renders(run: str):
    """The monitors of each job are exactly the names in the recorded `state_monitoring`."""
    recorded, checked = states(run), 0
    outputs: dict[Any, Any] = {}
    for stacks in outputs_at_start(run).values():
        outputs |= stacks
    outputs |= _final_outputs(run)
    for case in replay(run):
        for job in case.recorded.jobs if case.recorded is not None else ():
            if job.handler is not Handler.MONITORING or not job.is_last or job.action is not Action.CREATE:
                continue
            template = case.templates[Handler.MONITORING]
            values, missing = resolve(job.params, outputs)
            monitors = render_monitors(template.source, values, name=template.id)
            state = recorded[job.ref, job.version]["state"]["state_monitoring"]
            assert {each.name for each in monitors} == _parse_names(state)
            assert missing == {}
            checked += 1
    assert checked == RECORDED_MONITORING.get(run, checked if run not in RECORDED_JOBS else 0)


def _final_outputs(run: str) -> dict[Any, Any]:
    """The last stored outputs of every stack of the run that had any."""
    found: dict[Any, Any] = {}
    for event in events(run):
        ref = types().ref(event["key"], keys.HEAT_STACKS)
        if ref is not None and isinstance(event["value"], dict) and event["value"]["output"]:
            found[ref] = tuple(event["value"]["output"])
    return found


def _parse_names(text: str) -> set[str]:
    return set(json.loads(text))
