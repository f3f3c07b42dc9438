"""Own time and throughput of independent resources, through real processes and a real etcd.

    python -m tests.bench.bench_resources [--resources 1000] [--shards 1] [--heat 1]

Heat and devices answer at once, so all that is measured is the controller's own, and etcd's. Prints figures
beside the goals; asserts nothing. `--attach` runs a command beside every process under load, for profilers:
`--attach 'py-spy record -p {pid} -d 10 -o /tmp/{role}.svg'`.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from actors.core import keys
from actors.messages import Boot, StatusQuery, StatusReply
from actors.runtime import system
from actors.runtime.logs import LogConfig
from actors.supervisor import Supervisor
from sim.etcd_server import RunningEtcd, default_cache_dir, find_etcd, start_etcd
from tests.bench.api_server import ApiServer, Measured
from tests.bench.independent import Plan
from tests.bench.processes import Usage, busy_s, percentile, usage

#: Everything that the controller writes for resources; its own ownership key is another matter.
WRITTEN = (keys.STATE, keys.MONITORING, keys.JOBS, "/esi-worker/", keys.TARGETS)
QUIET_S = 1.5


@dataclass(frozen=True, slots=True)
class Restart:
    """A start on settled resources: seconds until every shard has its mirror and nothing is left to do.
    `kib_each`: memory of the shards beyond that of a process of ours that holds nothing, per resource."""

    ready_s: float
    settled: int
    writes: int
    kib_each: float


class Controller:
    """One controller in processes of its own."""

    def __init__(self, plan: Plan, etcd: RunningEtcd, shards: int, heat_actors: int) -> None:
        self.started_at = time.monotonic()
        self.system = system.start(Supervisor, log_config=LogConfig(level=logging.WARNING))
        options = plan.options(shards, heat_actors)
        self.system.tell(Boot(options, plan.wiring(etcd.endpoint), f"bench/{self.started_at}"))
        self._asked = 0

    def status(self) -> StatusReply:
        """As a person would see it."""
        self._asked += 1
        return self.system.ask(StatusQuery(f"bench {self._asked}", limit=1), 30.0, StatusReply)

    def await_ready(self, at_least: int = 1) -> tuple[float, int]:
        """Seconds since the start, and how many resources were found settled: so many, or it does not own all yet."""
        while True:
            reply = self.status()
            count = sum(reply.counts.values())
            if reply.ready and count >= at_least and set(reply.counts) <= {"settled", "failed"}:
                return time.monotonic() - self.started_at, count
            time.sleep(0.01)

    def pids(self) -> dict[str, int]:
        """By part; waits until every process was heard of."""
        while True:
            members = self.status().pids
            everyone = self.system.pids()
            if len(members) == len(everyone) - 2:
                break
            time.sleep(0.1)
        admin = everyone[0]
        (supervisor,) = set(everyone) - set(members.values()) - {admin}
        return {"admin": admin, "supervisor": supervisor, **members}


@contextlib.contextmanager
def attached(command: str, pids: Mapping[str, int]) -> Iterator[None]:
    """Run the command for every process, and wait for all of them at the end."""
    running = []
    for role, pid in pids.items() if command else ():
        words = shlex.split(command.format(pid=pid, role=role.replace(" ", "")))
        running.append(subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    if running:
        time.sleep(1.0)
    try:
        yield
    finally:
        for each in running:
            each.wait()


@dataclass(frozen=True, slots=True)
class Result:
    """All figures of one run."""

    idle: Measured
    load: Measured
    spent: Mapping[str, float]
    machine_s: float
    memory: Mapping[str, Usage]
    restart: Restart


def run(plan: Plan, shards: int, heat_actors: int, attach: str = "") -> Result:
    """All phases, in one etcd that is new: base, one at a time, all at once, restart."""
    binary = find_etcd(default_cache_dir())
    with tempfile.TemporaryDirectory(prefix="gatewright-bench-") as folder, contextlib.ExitStack() as stack:
        etcd = start_etcd(binary, Path(folder), allow_unsafe=True)
        stack.callback(etcd.stop)
        api = ApiServer(etcd.endpoint)
        stack.callback(api.stop)
        base = plan.base()
        templates = [each for each in base if each[0].startswith(keys.TEMPLATES)]
        api.put(templates)
        controller = Controller(plan, etcd, shards, heat_actors)
        stack.callback(lambda: controller.system.stop())
        built = api.declare([each for each in base if each not in templates])
        if built.failed:
            raise RuntimeError("the resources that the others refer to failed, see the log")
        pids = {**controller.pids(), "etcd": etcd.pid, "api server": api.pid}
        idle = api.declare_singly(list(plan.singles()))
        with attached(attach, pids):
            before, machine = usage(pids), busy_s()
            load = api.declare(list(plan.declared()))
            after, machine = usage(pids), busy_s() - machine
        spent = {part: after[part].cpu_s - before[part].cpu_s for part in before if part in after}
        _, everything = controller.await_ready()
        controller.system.stop()
        api.writes_below(())
        controller = Controller(plan, etcd, shards, heat_actors)
        ready_s, settled = controller.await_ready(everything)
        time.sleep(QUIET_S)
        held = usage(controller.pids())
        empty = held["supervisor"].rss_mib
        shards_mib = sum(each.rss_mib - empty for part, each in held.items() if part.startswith("shard"))
        restart = Restart(ready_s, settled, api.writes_below(WRITTEN), 1024 * shards_mib / settled)
        return Result(idle, load, spent, machine, after, restart)


def show(plan: Plan, result: Result) -> None:
    """Print the table."""
    idle, load, restart = result.idle, result.load, result.restart
    count = len(load.seconds)
    rows = [
        ("own time, idle, p50", f"{1000 * percentile(idle.seconds, 50):.1f} ms", "<= 30 ms"),
        ("own time, idle, p99", f"{1000 * percentile(idle.seconds, 99):.1f} ms", "<= 150 ms"),
        ("etcd revisions per version, idle", f"{idle.revisions / len(idle.seconds):.2f}", "<= 5"),
        ("resources/s to COMPLETED", f"{count / load.span_s:.0f}", ">= 500"),
        ("own time, all at once, p50", f"{percentile(load.seconds, 50):.2f} s", "-"),
        ("own time, all at once, p99", f"{percentile(load.seconds, 99):.2f} s", "-"),
        ("etcd revisions per version, load", f"{load.revisions / count:.2f}", "<= 5"),
        ("failed", f"{idle.failed + load.failed}", "0"),
        (f"restart, {restart.settled} settled, ready", f"{restart.ready_s:.2f} s", "<= 5 s (10,000)"),
        ("restart, writes", f"{restart.writes}", "0"),
        ("memory per settled, after restart", f"{restart.kib_each:.1f} KiB", "<= 2 KiB"),
    ]
    print(f"\n{count} resources, {plan.share:.0%} logical ports on {plan.devices} devices, the rest networks")
    for name, value, goal in rows:
        print(f"  {name:<36} {value:>12}   goal {goal}")
    print(f"\n  {'process':<14} {'CPU s per 1,000':>16} {'RSS MiB':>10}")
    for part, spent in result.spent.items():
        print(f"  {part:<14} {1000 * spent / count:>16.2f} {result.memory[part].rss_mib:>10.0f}")
    ours, everyone = sum(result.spent.values()), result.machine_s
    print(f"  {'together':<14} {1000 * ours / count:>16.2f}")
    print(
        f"  {'others here':<14} {1000 * (everyone - ours) / count:>16.2f}   (what else ran on this machine)"
    )


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--resources", type=int, default=1000)
    parser.add_argument("--share", type=float, default=0.5, help="part of logical ports (default 0.5)")
    parser.add_argument("--devices", type=int, default=20)
    parser.add_argument("--tenants", type=int, default=10)
    parser.add_argument("--idle", type=int, default=50, help="resources declared one at a time")
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--heat", type=int, default=1, help="HeatActors")
    parser.add_argument("--attach", default="", help="command to run beside every process under load")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # leave nothing behind then, too
    plan = Plan(given.resources, given.share, given.devices, given.tenants, given.idle)
    show(plan, run(plan, given.shards, given.heat, given.attach))


if __name__ == "__main__":
    main()
