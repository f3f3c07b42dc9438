"""The bridge's writes, events and listings beside a bare gRPC client and beside sequential `etcd3` puts, in one run.

    python -m tests.bench.bench_etcd [--keys 100000] [--seconds 3] [--rounds 3]

Each way of writing runs in a process of its own against one real etcd, in turn, several rounds; figures are medians.
Values are 1.4 KB, as the product's. Asserts nothing.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from actors.core.options import Options
from actors.core.ownership import vshard
from actors.messages import (
    Boot,
    Commit,
    Committed,
    Mirror,
    More,
    Owned,
    Snapshot,
    Subscribe,
    Topology,
    Wiring,
)
from actors.ports import Put, WriteSet
from sim.etcd_server import default_cache_dir, find_etcd, start_etcd
from tests.contract.etcd_worlds import Access

VALUE = b"x" * 1400
#: Requests of one requester that are under way at once.
WINDOW = 256
KEYS = 10_000


class Cost:
    """CPU and time since the start, and the peak of memory."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._cpu = self._used()
        self._began = time.monotonic()

    def _used(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def per(self, count: int) -> dict[str, float]:
        """Per second, CPU microseconds each, resident MiB."""
        span = time.monotonic() - self._began
        rss = self._process.memory_info().rss / 2**20
        return {"per_s": count / span, "cpu_us": 1e6 * (self._used() - self._cpu) / count, "rss": rss}


def key(number: int) -> str:
    """One of the keys that are written in turn."""
    return f"/state/v2.0/networks/{number % KEYS:08}"


def sequential(endpoint: str, seconds: float) -> dict[str, float]:
    """`etcd3.put` in a loop."""
    from actors.adapters import etcd3_upb

    etcd3_upb.install()
    import etcd3

    host, port = endpoint.split(":")
    client = etcd3.client(host=host, port=int(port))
    cost, count, end = Cost(), 0, time.monotonic() + seconds
    while time.monotonic() < end:
        client.put(key(count), VALUE)
        count += 1
    return cost.per(count)


def bare(endpoint: str, seconds: float) -> dict[str, float]:
    """Puts of a bare gRPC client, a window of them under way."""
    store = Access([endpoint]).open()
    from actors.adapters.etcd3_connection import rpc

    kv, waiting, count = store._connection.kv, deque[Any](), 0
    cost, end = Cost(), time.monotonic() + seconds
    while time.monotonic() < end:
        request = rpc.PutRequest(key=key(count).encode(), value=VALUE)
        waiting.append(kv.Put.future(request, timeout=30))
        count += 1
        if len(waiting) >= WINDOW:
            waiting.popleft().result()
    while waiting:
        waiting.popleft().result()
    return cost.per(count)


class Bridge:
    """The product's EtcdBridge with its threads, in this process; we are its shard."""

    def __init__(self, endpoint: str) -> None:
        from tests.bench.bridge_host import BridgeHost

        self.host = BridgeHost()
        options = Options(types=(), history_s=0.0, shards=0)
        wiring = Wiring(lambda: Access([endpoint]).open(timeout_s=30.0), _unused, _unused)
        self.host.tell(Boot(options, wiring, f"bench {time.monotonic()}"))
        self.host.tell(Topology(1, "bridge", (), (), ("shard",)))
        self.terms: dict[int, int] = {}
        while len(self.terms) < 256:
            message = self.host.take(10.0)
            if isinstance(message, Owned):
                self.terms = dict(message.terms)

    def commit(self, number: int) -> None:
        """A guarded write of a resource of ours."""
        name = key(number)
        shard = vshard(name)
        write_set = WriteSet((Put(name, VALUE + b"%d" % number),))
        self.host.tell(Commit(str(number), write_set, shard, self.terms[shard]))


def bridge(endpoint: str, seconds: float) -> dict[str, float]:
    """Guarded writes of single resources through the bridge, a window of them under way."""
    ours = Bridge(endpoint)
    cost, end, sent, done = Cost(), time.monotonic() + seconds, 0, 0
    while True:
        more = time.monotonic() < end
        while more and sent - done < WINDOW:
            ours.commit(sent)
            sent += 1
        if not more and done == sent:
            break
        done += isinstance(ours.host.take(30.0), Committed)
    result = cost.per(done)
    ours.host.close()
    return result


def events(endpoint: str, seconds: float) -> dict[str, float]:
    """Events that reach the shard, written flat out by somebody else in transactions of 100."""
    ours = Bridge(endpoint)
    ours.host.tell(Subscribe(0, 1))
    while not (isinstance(message := ours.host.take(60.0), Snapshot) and message.last):
        if isinstance(message, Snapshot):
            ours.host.tell(More(0, 1))
    script = [sys.executable, "-m", "tests.bench.bench_etcd", "--flood", endpoint, str(seconds)]
    with subprocess.Popen(script, stdout=subprocess.PIPE) as flood:
        cost, count, written = Cost(), 0, -1
        while count != written:
            message = ours.host.take(30.0)
            if isinstance(message, Mirror):
                cost = cost if count else Cost()
                count += sum(len(changes.puts_and_deletes) for changes in message.changes)
            if written < 0 and flood.poll() is not None:
                assert flood.stdout is not None
                written = int(flood.stdout.read())
    result = cost.per(count)
    ours.host.close()
    return result


def flood(endpoint: str, seconds: float) -> None:
    """Write as fast as one transaction after the other allows; print how many keys."""
    store = Access([endpoint]).open(timeout_s=30.0)
    count, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        store.commit([WriteSet((Put(key(count + i), VALUE),)) for i in range(100)])
        count += 100
    print(count, flush=True)
    store.close()


def fill(endpoint: str, count: int) -> None:
    """So many declarations of 1.4 KB."""
    store = Access([endpoint]).open(timeout_s=30.0)
    for start in range(0, count, 120):
        numbers = range(start, min(start + 120, count))
        store.commit([WriteSet((Put(f"/config/v2.0/networks/{n:08}", VALUE),)) for n in numbers])
    store.close()


def listing(endpoint: str, seconds: float) -> dict[str, float]:
    """Everything below the mirrored prefixes, page by page, to a shard that takes each page at once."""
    ours = Bridge(endpoint)
    process = psutil.Process()
    before, peak, stop = process.memory_info().rss, [0], threading.Event()

    def look() -> None:
        while not stop.wait(0.01):
            peak[0] = max(peak[0], process.memory_info().rss)

    watcher = threading.Thread(target=look)
    watcher.start()
    cost, count = Cost(), 0
    ours.host.tell(Subscribe(0, 1))
    while True:
        message = ours.host.take(60.0)
        if isinstance(message, Snapshot):
            count += len(message.entries)
            if message.last:
                break
            ours.host.tell(More(0, 1))
    result = cost.per(count)
    stop.set()
    watcher.join()
    ours.host.close()
    return {**result, "rss": (peak[0] - before) / 2**20, "seconds": count / result["per_s"]}


def unbounded(endpoint: str, _seconds: float) -> dict[str, float]:
    """The same with one request, as `etcd3.get_prefix` would."""
    store = Access([endpoint]).open(timeout_s=60.0)
    from actors.adapters.etcd3_txn import page_request

    before = psutil.Process().memory_info().rss
    cost, connection = Cost(), store._connection
    import etcd3
    from etcd3 import etcdrpc as rpc

    host, port = endpoint.split(":")
    limit = [("grpc.max_receive_message_length", -1)]
    client = etcd3.client(host=host, port=int(port), grpc_options=limit)
    answer = rpc.KVStub(client.channel).Range(page_request("/config/", "", 0, 0), timeout=60)
    kept = [(kv.key, kv.value) for kv in answer.kvs]
    result = cost.per(len(kept))
    rss = (psutil.Process().memory_info().rss - before) / 2**20
    connection.close()
    return {**result, "rss": rss, "seconds": len(kept) / result["per_s"]}


def _unused() -> Any:
    raise AssertionError("a bridge uses the store only")


WAYS: dict[str, Callable[[str, float], dict[str, float]]] = {
    "sequential": sequential,
    "bare": bare,
    "bridge": bridge,
    "events": events,
    "listing": listing,
    "unbounded": unbounded,
}
NAMES = {
    "sequential": "etcd3 puts, one after the other",
    "bare": f"bare gRPC puts, {WINDOW} under way",
    "bridge": f"bridge, guarded and fenced, {WINDOW} under way",
    "events": "bridge, events to a shard",
    "listing": "bridge, listing page by page",
    "unbounded": "one Range request for all",
}


def measure(endpoint: str, way: str, seconds: float) -> dict[str, float]:
    """In a process of its own."""
    script = [sys.executable, "-m", "tests.bench.bench_etcd", "--way", way, endpoint, str(seconds)]
    done = subprocess.run(script, stdout=subprocess.PIPE, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--way", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--flood", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way:
        way, endpoint, seconds = given.way
        print(json.dumps(WAYS[way](endpoint, float(seconds))))
        return
    if given.flood:
        flood(given.flood[0], float(given.flood[1]))
        return
    with tempfile.TemporaryDirectory(prefix="gatewright-bench-") as folder:
        etcd = start_etcd(find_etcd(default_cache_dir()), Path(folder), allow_unsafe=True)
        try:
            found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
            writing = ("sequential", "bare", "bridge", "events")
            for way in writing * given.rounds:
                found[way].append(measure(etcd.endpoint, way, given.seconds))
            fill(etcd.endpoint, given.keys)
            for way in ("listing", "unbounded") * given.rounds:
                found[way].append(measure(etcd.endpoint, way, given.seconds))
        finally:
            etcd.stop()
    print(f"{'':<44} {'per second':>12} {'CPU us each':>12} {'MiB':>8} {'seconds':>8}")
    for way, rounds in found.items():
        middle = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
        span = f"{middle['seconds']:8.2f}" if "seconds" in middle else ""
        print(
            f"{NAMES[way]:<44} {middle['per_s']:>12.0f} {middle['cpu_us']:>12.1f} {middle['rss']:>8.0f} {span}"
        )
    print(f"(MiB: resident; of the last two what a listing of {given.keys} keys adds at its peak)")


if __name__ == "__main__":
    main()
