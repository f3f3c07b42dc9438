"""An etcd whose quota is used up in the midst of the work, and one that compacts its history."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from actors.core.errors import PortError
from actors.ports import Delete, Put, WriteSet
from tests.contract.etcd_worlds import ROOT, until
from tests.controllers.conftest import Stage
from tests.controllers.test_command import environment


def fill(store: Any, first: int = 0, last: int = 10_000) -> int:
    """Write values of these numbers until etcd refuses; the number of the next."""
    for number in range(first, last):
        try:
            store.commit([WriteSet((Put(f"/junk/{number}", b"x" * 200_000),))])
        except PortError as error:
            assert error.failure.kind == "NoSpace", error
            return number
    return last


def make_room(store: Any, count: int) -> None:
    """What an operator does: delete, compact, defragment, disarm."""
    from actors.adapters.etcd3_connection import rpc

    for start in range(0, count, 100):
        numbers = range(start, min(start + 100, count))
        store.commit([WriteSet((Delete(f"/junk/{number}"),)) for number in numbers])
    store.compact(store.page("/junk/").revision)
    connection = store._connection
    maintenance = connection._client.maintenancestub
    connection.call(maintenance.Defragment, rpc.DefragmentRequest(), writes=False, timeout_s=30.0)
    alarm = rpc.AlarmRequest(action=rpc.AlarmRequest.DEACTIVATE, alarm=rpc.NOSPACE, memberID=0)
    for one in connection.call(maintenance.Alarm, rpc.AlarmRequest(), writes=False).alarms:
        alarm.memberID = one.memberID
        connection.call(maintenance.Alarm, alarm, writes=True)


def doctor(play: Stage) -> dict[str, dict[str, str]]:
    """What the command finds of etcd, by check."""
    settings = environment(
        play.folder,
        ETCD__ENDPOINTS=f'["http://{play.etcd.endpoint}"]',
        HEAT__ENDPOINT=play.heat.url + "/v1",
    )
    words = [
        sys.executable,
        str(ROOT / "run.py"),
        "--state-dir",
        str(play.folder / "doctor"),
        "doctor",
        "--json",
    ]
    done = subprocess.run(
        words, env=settings, cwd=play.folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1, done.stderr
    return {finding["check"]: finding for finding in json.loads(done.stdout)["findings"]}


def test_nothing_is_lost_when_the_quota_is_used_up_and_freed(stage: Callable[..., Stage]) -> None:
    """Results that come while etcd is full are written when there is room again; the condition has a name."""
    play = stage(seconds=3.0, extra=("--quota-backend-bytes=16777216",))
    fill(play.store, last=60)  # most of it, so that the rest is quick
    only = play.start(history_s=0.0, retry_cap_s=1.0)
    play.balanced(only)
    play.declare(40)
    until(lambda: play.history.open_jobs() >= 35)
    written = fill(play.store, 60)
    until(lambda: "NoSpace" in only.said())
    waiting = play.history.open_jobs()
    assert waiting > 0
    found = doctor(play)  # the stacks become complete meanwhile, and nobody can write it down
    assert "NOSPACE" in found["etcd alarm"]["text"]
    assert all(words in found["etcd alarm"]["remedy"] for words in ("compact", "defrag", "alarm disarm"))
    assert play.history.open_jobs() == waiting
    assert play.history.members() == {only.name}
    make_room(play.store, written)
    play.finished()


def test_a_burst_of_writes_does_not_fill_the_quota(stage: Callable[..., Stage]) -> None:
    """Far more than the quota is written to a few keys: the controller forgets history in time."""
    play = stage(seconds=0.0, extra=("--quota-backend-bytes=134217728",))
    only = play.start(history_bytes=8 * 1024 * 1024)
    play.balanced(only)
    value = b"x" * 100_000
    began = time.monotonic()
    for number in range(1_600):  # 160 MB in 12 s
        play.store.commit([WriteSet((Put(f"/junk/{number % 5}", value),))])
        time.sleep(max(0.0, began + number * 0.0075 - time.monotonic()))
    assert play.store.status().alarms == ()
    play.declare(10)
    play.finished()
