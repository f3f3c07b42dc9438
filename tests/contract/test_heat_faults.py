"""Whatever happens on the way between the HeatActor and a Heat: one stack, and the right answer."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from actors.adapters.heat_auth import HeatConfig
from actors.adapters.heat_stacks import HeatStacks
from actors.core.keys import stack_name
from actors.core.model import Action, Param, ParamType, Ref
from actors.core.options import Options
from actors.heat_pool import HeatActor
from actors.messages import Boot, HeatDone, HeatFailed, HeatRequest, Wiring
from actors.ports import Stack
from actors.runtime.inline import InlineHost
from sim.heat_server.launch import RunningHeat, start
from tests.contract.heat_proxy import FAULTS, LATE_S, Proxy

TEMPLATE = """heat_template_version: 2013-05-23
parameters: {v: {type: string}}
resources: {a: {type: 'ESI::Test::Knob', properties: {v: {get_param: v}}}}
outputs: {v: {value: {get_attr: [a, v]}}}
"""
REF = Ref("network", "f2de53ae-bc76-46f2-b2ae-a7eefa9d6e57")
NAME = stack_name(REF)
#: The patience with one request, in seconds.
TIMEOUT_S = 0.5
PATIENCE_S = 60.0
_projects = itertools.count(1)
_CASES_AT_ONCE = 16


@dataclass
class Case:
    """One job under faults. `faults`: number of the request → what happens to it."""

    job: str
    faults: Mapping[int, str]
    project: str = field(default_factory=lambda: f"faulty{next(_projects)}")
    answer: HeatDone | None = None
    problem: str = ""

    def __str__(self) -> str:
        told = ", ".join(f"{fault} at {number}" for number, fault in self.faults.items())
        return f"{self.job} with {told or 'no fault'} ({self.project})"


def request(case: Case, version: int, action: Action, attempt: int) -> HeatRequest:
    """What a ResourceActor sends."""
    params = (Param("v", ParamType.VALUE, f"value {version}"),)
    return HeatRequest(
        f"{case.project} {version} {attempt}", REF, version, action, case.project, "t", TEMPLATE, params, {}
    )


class Patient:
    """As patient as a ResourceActor: asks again after every failure that may be retried."""

    def __init__(self, endpoint: str) -> None:
        self.host = InlineHost(pickling=False)
        config = HeatConfig(endpoint_template=endpoint + "/v1/{tenant}", timeout_s=TIMEOUT_S)
        self.stacks = HeatStacks(config)
        self.actor = self.host.spawn(HeatActor)
        self.me = self.host.external("requester")
        nothing: Any = None
        options = Options(types=(), heat_tick_s=0.2)
        self.host.tell(self.actor, Boot(options, Wiring(nothing, lambda: self.stacks, nothing), "me"))

    def job(self, case: Case, version: int, action: Action) -> HeatDone:
        """Until it is done. Raises AssertionError for a final failure."""
        begin = time.monotonic() - self.host.now
        end = time.monotonic() + PATIENCE_S
        for attempt in itertools.count():
            self.host.tell(self.actor, request(case, version, action, attempt), sender=self.me)
            while True:
                self.host.run(time.monotonic() - begin)
                answers = [m for m in self.host.take(self.me) if isinstance(m, HeatDone | HeatFailed)]
                if answers:
                    break
                assert time.monotonic() < end, "no answer"
                time.sleep(0.005)
            if isinstance(answers[0], HeatDone):
                return answers[0]
            assert answers[0].failure.retryable, str(answers[0].failure)
            time.sleep(0.1)
        raise AssertionError("unreachable")


JOBS = {"create": (1, Action.CREATE), "update": (2, Action.MODIFY), "delete": (2, Action.LOGICAL_DELETE)}


def run(case: Case, heat: RunningHeat, proxy: Proxy) -> Case:
    """Prepare without faults, then do the job with them."""
    try:
        if case.job != "create":
            straight = Patient(heat.url)
            straight.job(case, 1, Action.CREATE)
            straight.stacks.close()
        proxy.plan[case.project] = case.faults
        patient = Patient(proxy.url)
        case.answer = patient.job(case, *JOBS[case.job])
        patient.stacks.close()
    except AssertionError as error:
        case.problem = str(error)
    return case


def check(case: Case, stacks: HeatStacks) -> str:
    """What is wrong with the outcome, once the dust has settled."""
    if case.answer is None:
        return case.problem
    end = time.monotonic() + 10.0
    while stacks.in_progress(case.project) and time.monotonic() < end:
        time.sleep(0.05)
    left: tuple[Stack, ...] = stacks.find(case.project, NAME)
    if case.job == "delete":
        return (
            ""
            if not left and case.answer.status == "DELETE_COMPLETE"
            else f"{case.answer.status}, left {left}"
        )
    version = JOBS[case.job][0]
    if len(left) != 1:
        return f"{len(left)} stacks"
    if left[0].status != "COMPLETE" or left[0].tags != ("gatewright", f"v{version}"):
        return f"left {left[0]}"
    told = {one["output_key"]: one["output_value"] for one in case.answer.outputs}
    return "" if told == {"v": f"value {version}"} else f"outputs {told}"


def failures(cases: list[Case], heat: RunningHeat) -> list[str]:
    """All that went wrong in these cases."""
    proxy = Proxy(heat.url)
    stacks = HeatStacks(HeatConfig(endpoint_template=heat.endpoint_template))
    try:
        with ThreadPoolExecutor(_CASES_AT_ONCE) as pool:
            done = list(pool.map(lambda case: run(case, heat, proxy), cases))
        time.sleep(LATE_S)
        return [f"{case}: {problem}" for case in done if (problem := check(case, stacks))]
    finally:
        proxy.close()
        stacks.close()


def every_point(requests: int) -> list[Case]:
    """Every fault at the first requests of every job: 0 looks, 1 writes, then come questions, a look, a get."""
    return [Case(job, {number: fault}) for job in JOBS for number in range(requests) for fault in FAULTS]


def drawn(count: int, seed: int) -> list[Case]:
    """Several faults at once, drawn at random but always the same."""
    dice = random.Random(seed)
    jobs, faults = list(JOBS), list(FAULTS)
    return [
        Case(dice.choice(jobs), {number: dice.choice(faults) for number in range(8) if dice.random() < 0.5})
        for _ in range(count)
    ]


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHeat]:
    """The embedded server."""
    running = start(tmp_path_factory.mktemp("heat"))
    yield running
    running.stop()


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("kind", "requests"), [("embedded", 6), ("real_heat", 3)])
def test_any_fault_at_any_request_leaves_one_stack(
    kind: str, requests: int, request: pytest.FixtureRequest
) -> None:
    """180 and 90 cases: the job is done, its answer is right, and one stack (or none) is there."""
    assert failures(every_point(requests), request.getfixturevalue(kind)) == []


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("kind", "count"), [("embedded", 60), ("real_heat", 24)])
def test_many_faults_leave_one_stack(kind: str, count: int, request: pytest.FixtureRequest) -> None:
    """Half of the requests of a job go wrong, each in another way."""
    assert failures(drawn(count, seed=5), request.getfixturevalue(kind)) == []
