"""What waiting for stacks costs: `python -m tests.bench.bench_heat`. Prints two tables; takes about a minute.

Requests are counted exactly, on a manual clock: N creates at once in one project, each stack living L seconds.
Own CPU is that of the actor in the same run plus, for every request, what it costs our process to make it with
the real adapter on the embedded server (measured first). Beside it: a loop per stack that looks, creates, asks
`stacks.get` once a second and fetches the outputs, on the same adapter.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actors.adapters.heat_auth import HeatConfig
from actors.adapters.heat_stacks import HeatStacks
from actors.core.model import Action, Param, ParamType, Ref
from actors.core.options import Options
from actors.heat_pool import HeatActor
from actors.messages import Boot, HeatDone, HeatRequest, Wiring
from actors.ports import StackSpec
from actors.runtime.inline import InlineHost
from sim.fake_stacks import FakeStacks
from sim.heat.engine import Settings
from sim.heat_server.launch import start

TEMPLATE = """heat_template_version: 2013-05-23
parameters: {v: {type: string}}
resources: {a: {type: 'ESI::Test::Knob', properties: {v: {get_param: v}}}}
outputs: {v: {value: {get_attr: [a, v]}}}
"""
DOCUMENT = {
    "heat_template_version": "2013-05-23",
    "parameters": {"v": {"type": "string"}},
    "resources": {"a": {"type": "ESI::Test::Knob", "properties": {"v": {"get_param": "v"}}}},
    "outputs": {"v": {"value": {"get_attr": ["a", "v"]}}},
}


@dataclass(frozen=True)
class Costs:
    """CPU seconds of our process per request. `listed_s`: more per stack in the answer of a list."""

    find_s: float
    create_s: float
    get_s: float
    list_s: float
    listed_s: float


def cpu_s(work: Callable[[], object], times: int) -> float:
    """CPU seconds of one `work()`."""
    work()
    begin = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - begin) / times


def measure() -> Costs:
    """On the embedded server, over HTTP."""
    slow = {
        **DOCUMENT,
        "resources": {"a": {"type": "OS::Heat::TestResource", "properties": {"wait_secs": 600}}},
    }
    slow.pop("outputs")
    with tempfile.TemporaryDirectory() as folder:
        heat = start(Path(folder))
        stacks = HeatStacks(HeatConfig(endpoint_template=heat.endpoint_template))
        try:
            number = iter(range(1_000_000))

            def create(document: Any = DOCUMENT, tenant: str = "t") -> str:
                return stacks.create(StackSpec(tenant, f"s{next(number)}", document, {"v": "x"}, 10))

            create_s = cpu_s(create, 200)
            name = f"s{next(number)}"
            sid = stacks.create(StackSpec("t", name, DOCUMENT, {"v": "x"}, 10))
            get_s = cpu_s(lambda: stacks.get("t", name, sid, outputs=True), 200)
            find_s = cpu_s(lambda: stacks.find("t", name), 200)
            list_s = cpu_s(lambda: stacks.in_progress("empty"), 200)
            for _ in range(200):
                create(slow, "busy")
            listed_s = (cpu_s(lambda: stacks.in_progress("busy"), 20) - list_s) / 200
            return Costs(find_s, create_s, get_s, list_s, listed_s)
        finally:
            stacks.close()
            heat.stop()


@dataclass(frozen=True)
class Outcome:
    """Per stack."""

    requests: float
    actor_ms: float
    http_ms: float
    late_s: float


class Counting(FakeStacks):
    """Counts the stacks in the answers of lists, too."""

    listed = 0

    def in_progress(self, tenant: str) -> frozenset[str]:
        """See `ports.Stacks`."""
        found = super().in_progress(tenant)
        self.listed += len(found)
        return found

    def find(self, tenant: str, *names: str) -> Any:
        """See `ports.Stacks`."""
        found = super().find(tenant, *names)
        self.listed += len(found)
        return found


def ours(count: int, life_s: float, costs: Costs) -> Outcome:
    """N stacks through a HeatActor on a manual clock."""
    host = InlineHost(pickling=False)
    stacks = Counting(lambda: host.now, Settings(life_s))
    me, heat, nothing = host.external("me"), host.spawn(HeatActor), None
    wiring: Any = Wiring(nothing, lambda: stacks, nothing)  # type: ignore[arg-type]  # only Heat is asked for
    host.tell(heat, Boot(Options(types=()), wiring, "bench"))
    params = (Param("v", ParamType.VALUE, "x"),)
    begin, done = time.process_time(), 0
    for n in range(count):
        ref = Ref("network", f"{n:032d}")
        request = HeatRequest(f"{n}", ref, 1, Action.CREATE, "t", "t", TEMPLATE, params, {})
        host.tell(heat, request, sender=me)
    last = 0.0
    while done < count:
        host.advance(0.25)
        new = sum(isinstance(message, HeatDone) for message in host.take(me))
        done, last = done + new, host.now if new else last
    actor_s = time.process_time() - begin
    asked = stacks.requests
    http_s = asked["find"] * costs.find_s + asked["create"] * costs.create_s + asked["get"] * costs.get_s
    http_s += asked["in_progress"] * costs.list_s + stacks.listed * costs.listed_s
    return Outcome(sum(asked.values()) / count, 1e3 * actor_s / count, 1e3 * http_s / count, last - life_s)


def naive(life_s: float, costs: Costs) -> Outcome:
    """A loop per stack."""
    polls = int(life_s) + 1
    http_s = costs.find_s + costs.create_s + (polls + 1) * costs.get_s
    return Outcome(2 + polls + 1, 0.0, 1e3 * http_s, 1.0)


def main() -> None:
    """Measure and print."""
    costs = measure()
    print(
        "own CPU of one request, ms: " + ", ".join(f"{k[:-2]} {1e3 * v:.2f}" for k, v in vars(costs).items())
    )
    print(
        f"{'in flight':>9} {'life s':>7} | {'requests':>9} {'CPU ms':>8} {'late s':>7} | {'requests':>9} {'CPU ms':>8}"
    )
    print(f"{'':>17} | {'ours, per stack':>26} | {'a loop, per stack':>18}")
    for count in (1, 100, 1000):
        for life_s in (5.0, 60.0, 300.0):
            one, other = ours(count, life_s, costs), naive(life_s, costs)
            print(
                f"{count:9} {life_s:7.0f} | {one.requests:9.2f} {one.actor_ms + one.http_ms:8.1f} "
                f"{one.late_s:7.2f} | {other.requests:9.0f} {other.http_ms:8.1f}"
            )


if __name__ == "__main__":
    main()
