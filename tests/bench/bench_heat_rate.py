"""Stacks per second and fairness of the HeatActor: `python -m tests.bench.bench_heat_rate`. Takes some minutes.

Rate: N creates at once in one project of the embedded server, whose stacks take no time, through one HeatActor
with real threads, over HTTP; and beside it, on the same server in the same run, as many threads as there are stacks
in flight, each of which looks, creates, asks `stacks.get` once a second and fetches the outputs.

Fairness: one project asks for 100, 1,000 and 10,000 creates, a moment later another for a single one. How long
that takes, in times of the same job alone, on a manual clock where every call takes 0.1 s and every stack 2 s;
beside it what it takes where all are of one project and wait in the order they came.
"""

from __future__ import annotations

import contextlib
import queue
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from actors.adapters.heat_auth import HeatConfig
from actors.adapters.heat_stacks import HeatStacks
from actors.core.model import Action, Param, ParamType, Ref
from actors.core.options import Options
from actors.heat_pool import HeatActor
from actors.messages import Boot, HeatDone, HeatRequest, Wiring
from actors.ports import Stacks, StackSpec
from actors.runtime import inline
from actors.runtime.host import Finished
from actors.runtime.inline import InlineHost
from sim.fake_stacks import FakeStacks
from sim.heat.engine import Settings
from sim.heat_server.launch import RunningHeat, start
from tests.bench.bench_heat import DOCUMENT, TEMPLATE

CALL_S, STACK_S = 0.1, 2.0
RATE_STACKS, RATE_IN_FLIGHT = 600, 100
PARAMS = (Param("v", ParamType.VALUE, "x"),)


def actor(host: InlineHost, stacks: Stacks, options: Options) -> Any:
    """A HeatActor on that Heat."""
    made, nothing = host.spawn(HeatActor), None
    wiring: Any = Wiring(nothing, lambda: stacks, nothing)  # type: ignore[arg-type]  # only Heat is asked for
    host.tell(made, Boot(options, wiring, "bench"))
    return made


def request(number: int, tenant: str) -> HeatRequest:
    """A create."""
    ref = Ref("network", f"{number:032d}")
    return HeatRequest(f"{tenant} {number}", ref, 1, Action.CREATE, tenant, "t", TEMPLATE, PARAMS, {})


def cpu_s() -> float:
    """Of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


# --------------------------------------------------------------------------------------------------- rate


def ours(heat: RunningHeat) -> tuple[float, float]:
    """Seconds, and CPU seconds of this process, until all are done."""
    options = Options(types=())
    stacks = HeatStacks(HeatConfig(endpoint_template=heat.endpoint_template, pool_size=options.heat_threads))
    host, returned = InlineHost(pickling=False), queue.SimpleQueue[Callable[[], None]]()
    threads = ThreadPoolExecutor(options.heat_threads)
    plain = inline._Cell._finish

    def finish(cell: Any, work: Callable[[], Any], then: Callable[[Any], None]) -> None:
        def run() -> None:
            try:
                outcome = work()
            except Exception as error:
                outcome = error
            done = Finished(then, outcome)
            returned.put(lambda: host.schedule(host.now, cell._address, done, cell._address))

        threads.submit(run)

    inline._Cell._finish = finish  # type: ignore[method-assign,assignment]
    try:
        me, heat_actor = host.external("me"), actor(host, stacks, options)
        began, used, done = time.monotonic(), cpu_s(), 0
        for number in range(RATE_STACKS):
            host.tell(heat_actor, request(number, "ours"), sender=me)
        while done < RATE_STACKS:
            with contextlib.suppress(queue.Empty):
                returned.get(timeout=0.002)()
            host.run(time.monotonic() - began)
            done += sum(isinstance(message, HeatDone) for message in host.take(me))
        return time.monotonic() - began, cpu_s() - used
    finally:
        inline._Cell._finish = plain  # type: ignore[method-assign]
        threads.shutdown()
        stacks.close()


def loops(heat: RunningHeat) -> tuple[float, float]:
    """The same by a loop per stack in flight."""
    config = HeatConfig(endpoint_template=heat.endpoint_template, pool_size=RATE_IN_FLIGHT, timeout_s=120.0)
    stacks = HeatStacks(config)

    def one(number: int) -> None:
        name = f"s{number}"
        assert stacks.find("loops", name) == ()
        sid = stacks.create(StackSpec("loops", name, DOCUMENT, {"v": "x"}, 10))
        while stacks.get("loops", name, sid, outputs=False).status == "IN_PROGRESS":
            time.sleep(1.0)
        stacks.get("loops", name, sid, outputs=True)

    began, used = time.monotonic(), cpu_s()
    with ThreadPoolExecutor(RATE_IN_FLIGHT) as pool:
        list(pool.map(one, range(RATE_STACKS)))
    took = time.monotonic() - began, cpu_s() - used
    stacks.close()
    return took


def rate() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        heat = start(Path(folder))
        try:
            rows = [("ours, one HeatActor", *ours(heat)), (f"{RATE_IN_FLIGHT} loops", *loops(heat))]
        finally:
            heat.stop()
    for name, seconds, used in rows:
        print(
            f"{name:22} {RATE_STACKS / seconds:7.1f} stacks/s {1e3 * used / RATE_STACKS:7.1f} ms own CPU per stack"
        )


# ----------------------------------------------------------------------------------------------- fairness


def single(before: int, tenant: str) -> float:
    """Seconds of one create of `tenant`, asked for a second after `before` ones of "big"."""
    host = InlineHost(pickling=False)
    stacks = FakeStacks(lambda: host.now, Settings(STACK_S))
    me, heat = host.external("me"), actor(host, stacks, Options(types=()))
    for number in range(before):
        host.tell(heat, request(number, "big"), sender=me)
    host.advance(1.0)
    began, last = host.now, request(before, tenant)
    host.tell(heat, last, sender=me)
    while not any(isinstance(m, HeatDone) and m.rid == last.rid for m in host.take(me)):
        host.advance(0.05)
    return host.now - began


def fairness() -> None:
    """Measure and print."""

    def finish(cell: Any, work: Callable[[], Any], then: Callable[[Any], None]) -> None:
        host = cell.inline
        host.schedule(host.now + CALL_S, cell._address, Finished(then, work()), cell._address)

    plain, inline._Cell._finish = inline._Cell._finish, finish  # type: ignore[method-assign,assignment]
    try:
        job_s = single(0, "small")
        print(f"a single create alone: {job_s:.2f} s; after so many of another project, in times of that:")
        for before in (100, 1000, 10_000):
            mine, same = single(before, "small") / job_s, single(before, "big") / job_s
            print(f"{before:7} before it: {mine:6.2f} in turns, {same:7.1f} in one line")
    finally:
        inline._Cell._finish = plain  # type: ignore[method-assign]


if __name__ == "__main__":
    rate()
    fairness()
