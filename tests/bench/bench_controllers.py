"""Three controllers with thousands of resources, while one after another is killed, paused and stopped.

    python -m tests.bench.bench_controllers [--resources 5000] [--seconds 0.5]

Real processes, etcd and Heat API. Checks at the end: every resource COMPLETED, one stack each, and by etcd's own
history no value that was not written by the owner of its virtual shard at that revision. Prints times of take-over.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from actors.core.ownership import SHARDS
from sim.etcd_server import default_cache_dir, find_etcd, start_etcd
from tests.contract.etcd_worlds import Access, until
from tests.controllers.cast import Controller, Heat, History
from tests.controllers.conftest import Stage


def taken_over_s(history: History, since_s: float) -> float:
    """Seconds from then until the last virtual shard was taken."""
    taken = [c.seen_s for c in history.changes() if c.key.startswith(SHARDS) and c.value is not None]
    return max([t - since_s for t in taken if t >= since_s], default=0.0)


def run(play: Stage, count: int, ttl_s: float) -> None:
    """The whole story."""
    began = time.monotonic()

    def say(text: str) -> None:
        finished = sum(key.startswith("/state/") for key in list(play.history.values))
        print(f"{time.monotonic() - began:7.1f} s  {finished:5} finished  {text}", flush=True)

    def after(what: str, act: Callable[[], None], left: list[Controller]) -> None:
        at = time.monotonic()
        act()
        play.balanced(*left, timeout_s=60.0)
        say(f"{what}: the others own everything after {taken_over_s(play.history, at):.2f} s")

    def progress(part: float) -> None:
        until(lambda: sum(k.startswith("/state/") for k in list(play.history.values)) >= part * count, 600.0)

    options = {"owner_ttl_s": ttl_s}
    one, two, three = (play.start(**options) for _ in range(3))
    play.balanced(one, two, three)
    say(f"three controllers: {sorted(play.history.holders().values())} virtual shards")
    play.declare(count)
    say(f"{count} declared")
    progress(0.1)
    after("kill -9 of the first", one.kill, [two, three])
    progress(0.3)
    after("SIGSTOP of the second", two.freeze, [three])
    four = play.start(**options)
    play.balanced(three, four)
    say("a fourth has joined")
    progress(0.5)
    two.thaw()
    play.balanced(two, three, four)
    say("SIGCONT of the second: it is a member again")
    progress(0.7)
    after("clean stop of the third", three.terminate, [two, four])
    play.finished(600.0)
    span = time.monotonic() - began
    say(f"all of {count} COMPLETED, one stack each, no key with two writers; {count / span:.0f} resources/s")
    for controller in play.controllers:
        sets = sum(len(note.get("try", ())) for note in controller.noted())
        print(f"  {controller.name}: {sets} write sets sent")


def main() -> None:
    """Parse, run, clean up."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--resources", type=int, default=5000)
    parser.add_argument("--seconds", type=float, default=0.5, help="of Heat, per resource of a stack")
    parser.add_argument("--ttl", type=float, default=10.0, help="lease of a controller, seconds")
    given = parser.parse_args()
    binary = find_etcd(default_cache_dir())
    with tempfile.TemporaryDirectory(prefix="gatewright-bench-") as name:
        folder = Path(name)
        etcd = start_etcd(binary, folder / "etcd", allow_unsafe=True)
        heat = Heat(folder / "heat", given.seconds)
        store = Access([etcd.endpoint]).open(timeout_s=10.0)
        play = Stage(folder, etcd, heat, store, History(store))
        try:
            run(play, given.resources, given.ttl)
        except AssertionError:
            for controller in play.controllers:
                print(controller.said()[-1500:], file=sys.stderr)
            raise
        finally:
            for controller in play.controllers:
                controller.end()
            store.close()
            heat.stop()
            etcd.stop()


if __name__ == "__main__":
    main()
