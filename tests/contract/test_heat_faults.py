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
from tests.contract.heat_proxy import FAULTS, Proxy
from tests.contract.heat_worlds import spec

TEMPLATE = """heat_template_version: 2013-05-23
parameters: {v: {type: string}}
resources: {a: {type: 'ESI::Test::Knob', properties: {v: {get_param: v}}}}
outputs: {v: {value: {get_attr: [a, v]}}}
"""
REF = Ref("network", "f2de53ae-bc76-46f2-b2ae-a7eefa9d6e57")
NAME = stack_name(REF)
#: With one job, in seconds. Only a job that never ends takes so long.
PATIENCE_S = 200.0
#: The time-out of a request is so many times what the slowest takes without faults, and not below the least.
_PATIENT, _LEAST_S = 4.0, 0.5
#: A real Heat gets slower with each more, and a time-out that strikes without a fault makes it slower still.
AT_ONCE = {"embedded": 16, "real_heat": 4}
_projects = itertools.count(1)


JOBS = {"create": (1, Action.CREATE), "update": (2, Action.MODIFY), "delete": (2, Action.LOGICAL_DELETE)}


@dataclass
class Life:
    """One stack from create to delete. `faults`: job → number of the request → what happens to it."""

    faults: Mapping[str, Mapping[int, str]]
    project: str = field(default_factory=lambda: f"faulty{next(_projects)}")

    def told(self, job: str) -> str:
        """One of its jobs, for a person."""
        told = ", ".join(f"{fault} at {number}" for number, fault in self.faults[job].items())
        return f"{job} with {told or 'no fault'} ({self.project})"


def request(project: str, job: str, attempt: int) -> HeatRequest:
    """What a ResourceActor sends."""
    version, action = JOBS[job]
    params = (Param("v", ParamType.VALUE, f"value {version}"),)
    rid = f"{project} {job} {attempt}"
    return HeatRequest(rid, REF, version, action, project, "t", TEMPLATE, params, {})


class Patient:
    """As patient as a ResourceActor: asks again after every failure that may be retried."""

    def __init__(self, endpoint: str, timeout_s: float) -> None:
        self.host = InlineHost(pickling=False)
        config = HeatConfig(endpoint_template=endpoint + "/v1/{tenant}", timeout_s=timeout_s)
        self.stacks = HeatStacks(config)
        self.actor = self.host.spawn(HeatActor)
        self.me = self.host.external("requester")
        nothing: Any = None
        options = Options(types=(), heat_tick_s=0.2)
        self.host.tell(self.actor, Boot(options, Wiring(nothing, lambda: self.stacks, nothing), "me"))

    def job(self, project: str, job: str) -> HeatDone:
        """Until it is done. Raises AssertionError for a final failure."""
        begin = time.monotonic() - self.host.now
        end = time.monotonic() + PATIENCE_S
        for attempt in itertools.count():
            self.host.tell(self.actor, request(project, job, attempt), sender=self.me)
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


def usual_timeout_s(heat: RunningHeat, at_once: int) -> float:
    """What is patient enough with this Heat on this machine, with as many at it as there will be."""

    def slowest(project: str) -> float:
        stacks = HeatStacks(HeatConfig(endpoint_template=heat.endpoint_template, timeout_s=PATIENCE_S))
        took = []
        for call in (lambda: stacks.create(spec(project)), lambda: stacks.in_progress(project)):
            begin = time.monotonic()
            call()
            took.append(time.monotonic() - begin)
        stacks.close()
        return max(took)

    slowest(f"warming{next(_projects)}")  # the very first of all takes seconds
    with ThreadPoolExecutor(at_once) as pool:
        took = list(pool.map(slowest, [f"timed{next(_projects)}" for _ in range(2 * at_once)]))
    return max(_LEAST_S, _PATIENT * max(took))


def live(life: Life, proxy: Proxy, timeout_s: float, stacks: HeatStacks) -> list[str]:
    """Do its jobs one after the other, each with its faults; what went wrong. `stacks` looks past the proxy."""
    patient = Patient(proxy.url, timeout_s)
    try:
        for job in JOBS:
            proxy.expect(life.project, life.faults[job])
            try:
                problem = wrong(job, patient.job(life.project, job), life.project, proxy, stacks)
            except AssertionError as error:
                problem = str(error)
            if problem:
                return [f"{life.told(job)}: {problem}"]
        return []
    finally:
        patient.stacks.close()


def wrong(job: str, answer: HeatDone, project: str, proxy: Proxy, stacks: HeatStacks) -> str:
    """What is wrong with the outcome, once the dust has settled."""
    end = time.monotonic() + PATIENCE_S
    while not proxy.quiet(project) or stacks.in_progress(project):
        assert time.monotonic() < end, "Heat is never done"
        time.sleep(0.02)
    left: tuple[Stack, ...] = stacks.find(project, NAME)
    if job == "delete":
        gone = not left and answer.status == "DELETE_COMPLETE"
        return "" if gone else f"{answer.status}, left {left}"
    version = JOBS[job][0]
    if len(left) != 1:
        return f"{len(left)} stacks"
    if left[0].status != "COMPLETE" or left[0].tags != ("gatewright", f"v{version}"):
        return f"left {left[0]}"
    told = {one["output_key"]: one["output_value"] for one in answer.outputs}
    return "" if told == {"v": f"value {version}"} else f"outputs {told}"


def failures(lives: list[Life], kind: str, heat: RunningHeat) -> list[str]:
    """All that went wrong in these lives."""
    proxy, at_once = Proxy(heat.url), AT_ONCE[kind]
    stacks = HeatStacks(HeatConfig(endpoint_template=heat.endpoint_template, timeout_s=PATIENCE_S))
    timeout_s = usual_timeout_s(heat, at_once)
    try:
        with ThreadPoolExecutor(at_once) as pool:
            done = list(pool.map(lambda life: live(life, proxy, timeout_s, stacks), lives))
        return [problem for problems in done for problem in problems]
    finally:
        proxy.close()
        stacks.close()


def every_point(requests: int) -> list[Life]:
    """Every fault at the first requests of every job: 0 looks, 1 writes, then come questions, a look, a get."""
    return [Life({job: {number: fault} for job in JOBS}) for number in range(requests) for fault in FAULTS]


def drawn(count: int, seed: int) -> list[Life]:
    """Several faults in each job, drawn at random but always the same."""
    dice = random.Random(seed)
    faults = list(FAULTS)

    def some() -> dict[int, str]:
        return {number: dice.choice(faults) for number in range(8) if dice.random() < 0.5}

    return [Life({job: some() for job in JOBS}) for _ in range(count)]


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHeat]:
    """The embedded server."""
    running = start(tmp_path_factory.mktemp("heat"))
    yield running
    running.stop()


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("kind", "requests"), [("embedded", 6), ("real_heat", 3)])
def test_any_fault_at_any_request_leaves_one_stack(
    kind: str, requests: int, request: pytest.FixtureRequest
) -> None:
    """60 and 30 stacks, three jobs each: all are done, the answers are right, one stack (or none) is there."""
    assert failures(every_point(requests), kind, request.getfixturevalue(kind)) == []


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("kind", "count"), [("embedded", 20), ("real_heat", 8)])
def test_many_faults_leave_one_stack(kind: str, count: int, request: pytest.FixtureRequest) -> None:
    """Half of the requests of a job go wrong, each in another way."""
    assert failures(drawn(count, seed=5), kind, request.getfixturevalue(kind)) == []
