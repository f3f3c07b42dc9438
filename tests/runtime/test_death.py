"""Processes that are killed: who is told, who takes over, and that nobody is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from actors.runtime.limits import Limits
from actors.runtime.system import SystemGoneError
from tests.runtime import cast
from tests.runtime.cast import Answer, Ask, Numbered
from tests.runtime.conftest import Stage, all_gone, eventually

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def starter() -> Iterator[tuple[subprocess.Popen[bytes], dict[str, Any]]]:
    """A system whose starter is a process of its own, with the pids of its processes."""
    command = [sys.executable, "-W", "error", "-m", "tests.runtime.starter"]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            assert len(told["all"]) == 4
            yield process, told
        finally:
            process.kill()
            eventually(lambda: all_gone(told["all"]))


@pytest.mark.parametrize("victim", ["admin", "root"])
def test_the_whole_tree_dies_with_its_top(starter: Any, victim: str) -> None:
    """kill -9 of the admin or the root actor ends every other process; the starter itself lives."""
    process, told = starter
    os.kill(told["roles"][victim], signal.SIGKILL)
    eventually(lambda: all_gone(told["all"]), 5)
    assert process.poll() is None


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_outlives_the_starter(starter: Any, how: signal.Signals) -> None:
    """When the starter is killed or ends in whatever way, every process of its system ends too."""
    process, told = starter
    process.send_signal(how)
    process.wait(5)
    eventually(lambda: all_gone(told["all"]), 5)


def test_a_stuck_system_ends_with_its_starter(starter: Any) -> None:
    """Even if the shard does not react, nothing outlives the starter."""
    process, told = starter
    os.kill(told["roles"]["shard"], signal.SIGSTOP)
    process.kill()
    eventually(lambda: all_gone(told["all"]), 10)


def test_a_root_that_hangs_is_told_from_one_that_is_busy(stage: Stage) -> None:
    """Its process answers, until it stands still."""
    system = stage.start(cast.Keeper)
    pid = system.ask(Ask("pid"), 5, Answer).value
    assert system.answers(5)
    os.kill(pid, signal.SIGSTOP)
    assert not system.answers(0.5)
    os.kill(pid, signal.SIGCONT)
    assert system.answers(5)


def test_a_shard_is_replaced(stage: Stage) -> None:
    """A killed shard takes its actors and its child process along; its parent is told and makes a new one."""
    system = stage.start(cast.Keeper)
    shard = system.ask(Ask("shard_address"), 5, Answer).value
    settled = system.ask(Ask("settle", 500), 5, Answer, to=shard).value
    assert system.ask(Ask("pid"), 5, Answer, to=settled[-1]).value
    pid = system.ask(Ask("pid"), 5, Answer, to=shard).value
    children = [child.pid for child in psutil.Process(pid).children()]
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: system.ask(Ask("shard_address"), 5, Answer).value != shard)
    new = system.ask(Ask("shard_address"), 5, Answer).value
    assert system.ask(Ask("run", 100), 20, Answer, to=new).value == (100, 100)
    assert len(children) == 1
    eventually(lambda: all_gone([pid, *children]))


def test_a_pool_member_is_replaced(stage: Stage) -> None:
    """kill -9 of a pool process is told once; the message it held is lost, the new one answers."""
    system = stage.start(cast.Lab)
    pool = system.ask(Ask("addresses"), 5, Answer).value["pool"]
    os.kill(system.ask(Ask("pid"), 5, Answer, to=pool).value, signal.SIGKILL)
    assert eventually(lambda: system.ask(Ask("report"), 5, Answer).value["gone"]) == [pool]
    system.ask(Ask("send_to_pool", [1, 2, 3]), 5, Answer)
    eventually(lambda: system.ask(Ask("report"), 5, Answer).value["echoed"] == [1, 2, 3])


@pytest.mark.parametrize("how", [signal.SIGSEGV, signal.SIGABRT, signal.SIGTERM])
def test_other_deaths_are_told_too(stage: Stage, how: signal.Signals) -> None:
    """A crash inside a library or a polite signal ends the process, and its parent is told once."""
    system = stage.start(cast.Lab)
    pool = system.ask(Ask("addresses"), 5, Answer).value["pool"]
    os.kill(system.ask(Ask("pid"), 5, Answer, to=pool).value, how)
    assert eventually(lambda: system.ask(Ask("report"), 5, Answer).value["gone"]) == [pool]
    assert ("Fatal Python error" in stage.log()) == (how != signal.SIGTERM), (
        "a crash leaves its stack in the log"
    )


def test_sixty_deaths_at_once(stage: Stage) -> None:
    """60 children killed together give 60 notices, one each."""
    system = stage.start(cast.Lab)
    kids = system.ask(Ask("spawn_pools", 60), 20, Answer).value
    root = system.ask(Ask("pid"), 5, Answer).value
    pool = system.ask(Ask("pid"), 5, Answer, to=system.ask(Ask("addresses"), 5, Answer).value["pool"]).value
    pids = [child.pid for child in psutil.Process(root).children() if child.pid != pool]
    assert len(pids) == 60
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: len(system.ask(Ask("report"), 5, Answer).value["gone"]) >= 60)
    eventually(lambda: all_gone(pids))
    gone = system.ask(Ask("report"), 5, Answer).value["gone"]
    assert sorted(map(str, gone)) == sorted(map(str, kids))


def test_what_cannot_be_made_is_gone(stage: Stage) -> None:
    """A child whose constructor fails, in its own process or inside, is told as gone."""
    system = stage.start(cast.Lab)
    broken = [
        system.ask(Ask("spawn_one", cls), 5, Answer).value for cls in (cast.BadInit, cast.BadInitInside)
    ]
    eventually(lambda: set(system.ask(Ask("report"), 5, Answer).value["gone"]) == set(broken))
    assert stage.log().count("RuntimeError: no way") == 2


def test_children_are_stopped_and_killed(stage: Stage) -> None:
    """stop_child and kill_child end processes and in-process actors with their children; each is told once."""
    system = stage.start(cast.Lab)
    found = system.ask(Ask("addresses"), 5, Answer).value
    grandchild = system.ask(Ask("child_address"), 5, Answer, to=found["nest"]).value
    first, second = system.ask(Ask("spawn_pools", 2), 5, Answer).value
    for what, to in (("stop", first), ("kill", second), ("stop", found["inner"]), ("kill", found["nest"])):
        system.ask(Ask(what, to), 5, Answer)
    expected = {first, second, found["inner"], found["nest"]}
    eventually(lambda: set(system.ask(Ask("report"), 5, Answer).value["gone"]) == expected)
    system.ask(Ask("send", (grandchild, Numbered(1))), 5, Answer)
    eventually(lambda: (grandchild, Numbered(1)) in system.ask(Ask("report"), 5, Answer).value["dead"])
    assert len(system.ask(Ask("report"), 5, Answer).value["gone"]) == 4


def test_stop_under_load(stage: Stage) -> None:
    """A system in which everybody talks for ever stops at once and leaves nothing."""
    system = stage.start(cast.Flood)
    pids = system.pids()
    assert len(pids) == 5
    began = time.monotonic()
    system.stop()
    assert time.monotonic() - began < 5
    assert all_gone(pids)
    assert not system.alive()


def test_stop_with_a_process_that_hangs(stage: Stage) -> None:
    """A process that neither answers nor heeds SIGTERM is killed; stop keeps its time."""
    system = stage.start(cast.Lab, limits=Limits(exit_grace_s=0.5))
    pool = system.ask(Ask("addresses"), 5, Answer).value["pool"]
    system.tell(Ask("hang", 60.0), to=pool)
    pids = system.pids()
    began = time.monotonic()
    system.stop()
    assert time.monotonic() - began < 5
    assert all_gone(pids)


def test_a_hanging_child_does_not_keep_its_parent(stage: Stage) -> None:
    """A process that is stopped kills a child that hangs, and ends."""
    system = stage.start(cast.Keeper, limits=Limits(exit_grace_s=0.3))
    shard = system.ask(Ask("shard_address"), 5, Answer).value
    pool = system.ask(Ask("pool_address"), 5, Answer, to=shard).value
    pid = system.ask(Ask("pid"), 5, Answer, to=pool).value
    system.tell(Ask("hang", 60.0), to=pool)
    gone, _ = system.ask(Ask("stop_shard"), 5, Answer).value
    assert gone == shard
    eventually(lambda: all_gone([pid]))


def test_last_words_arrive(stage: Stage) -> None:
    """Everything an actor sends while it is stopping leaves its process before the end."""
    system = stage.start(cast.Lab)
    leaving = system.ask(Ask("spawn_one", cast.Leaving), 5, Answer).value
    system.ask(Ask("hello", system.root), 5, Answer, to=leaving)
    system.ask(Ask("stop", leaving), 5, Answer)
    eventually(lambda: system.ask(Ask("report"), 5, Answer).value["echoed"] == list(range(1000)))


def test_a_root_that_cannot_start(stage: Stage) -> None:
    """start raises, says so, and leaves nothing."""
    with pytest.raises(SystemGoneError, match="Deaf"):
        stage.start(cast.Deaf)
    left = [child.name() for child in psutil.Process().children(recursive=True)]
    assert not [name for name in left if name.startswith("gw:")]


def test_a_dead_system_is_noticed(stage: Stage) -> None:
    """After the system has died, wait returns and ask and tell raise at once."""
    system = stage.start(cast.Lab)
    os.kill(system.pids()[0], signal.SIGKILL)
    assert system.wait(5)
    assert not system.alive()
    for call in (lambda: system.ask(Ask("pid"), 5, Answer), lambda: system.tell(Ask("pid"))):
        with pytest.raises(SystemGoneError):
            call()


def test_two_systems_side_by_side(stage: Stage) -> None:
    """Two systems of one process do not meet; ending one leaves the other alone."""
    first, second = stage.start(cast.Lab), stage.start(cast.Lab)
    assert not set(first.pids()) & set(second.pids())
    first.stop()
    assert second.ask(Ask("pid"), 5, Answer).value in second.pids()
