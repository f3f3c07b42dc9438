"""Messages between actors of one process, of several, and from outside."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from actors.runtime.limits import Limits
from actors.runtime.system import NoAnswerError, RefusedError
from tests.runtime import cast
from tests.runtime.cast import Answer, Ask, Numbered
from tests.runtime.conftest import Stage, eventually


def test_outside_reaches_every_kind_of_actor(stage: Stage) -> None:
    """An ask from outside reaches process actors, in-process actors and their children by their addresses."""
    system = stage.start(cast.Lab)
    found = system.ask(Ask("addresses"), 5, Answer).value
    child = system.ask(Ask("child_address"), 5, Answer, to=found["nest"]).value
    root = system.ask(Ask("pid"), 5, Answer).value
    pids = [system.ask(Ask("pid"), 5, Answer, to=to).value for to in (found["inner"], found["nest"], child)]
    assert pids == [root] * 3
    assert system.ask(Ask("pid"), 5, Answer, to=found["pool"]).value not in (root, os.getpid())


def test_answers_go_to_who_asked(stage: Stage) -> None:
    """Questions of several threads at once each get their own answer."""
    system = stage.start(cast.Lab)
    inner = system.ask(Ask("addresses"), 5, Answer).value["inner"]
    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(system.ask, Ask("address"), 10, Answer, to) for to in [inner, None] * 20]
        answers = [each.result().value for each in asked]
    assert answers == [inner, system.root] * 20


def test_no_answer_is_said_in_time(stage: Stage) -> None:
    """An ask that nobody answers raises, and an answer of another type does not count."""
    system = stage.start(cast.Lab)
    with pytest.raises(NoAnswerError):
        system.ask(Ask("pid"), 0.3, Numbered)


def test_thousand_actors_and_a_pool(stage: Stage) -> None:
    """1,000 in-process actors each ask a pool process and get their own answer; all exits are told."""
    system = stage.start(cast.Shard)
    assert system.ask(Ask("run", 1000), 30, Answer).value == (1000, 1000)
    counters = system.ask(Ask("count"), 5, Answer).value
    assert counters["actors"] == 1
    assert counters["frames"] < 500, "messages are not coalesced"


def test_order_per_pair(stage: Stage) -> None:
    """5,000 messages through a pool and back arrive complete and in order."""
    system = stage.start(cast.Lab)
    system.ask(Ask("send_to_pool", list(range(5000))), 10, Answer)
    echoed = eventually(lambda: (r := system.ask(Ask("report"), 5, Answer).value["echoed"])[4999:] and r, 20)
    assert echoed == list(range(5000))


def test_large_messages_travel_too(stage: Stage) -> None:
    """A message far larger than a batch arrives, and so do those around it."""
    system = stage.start(cast.Lab)
    pool = system.ask(Ask("addresses"), 5, Answer).value["pool"]
    for message in (Numbered(1), Ask("address", b"x" * 5_000_000), Numbered(2)):
        system.ask(Ask("send", (pool, message)), 20, Answer)
    assert eventually(lambda: system.ask(Ask("numbers"), 5, Answer, to=pool).value == [1, 2])


def test_a_handler_that_raises(stage: Stage) -> None:
    """A failing handler runs once, is logged once with its traceback, its sender is told, the actor lives."""
    system = stage.start(cast.Lab)
    with pytest.raises(RefusedError, match="ValueError: boom"):
        system.ask(Ask("boom"), 5, Answer)
    assert system.ask(Ask("report"), 5, Answer).value["raised"] == 1
    assert stage.log().count("ValueError: boom") == 1
    assert stage.log().count("Traceback") == 1


def test_a_failure_is_told_to_the_sending_actor(stage: Stage) -> None:
    """Between actors, in one process or two, the sender's `poisoned` gets the message and the reason."""
    system = stage.start(cast.Lab)
    found = system.ask(Ask("addresses"), 5, Answer).value
    for to in (found["inner"], found["pool"]):
        system.ask(Ask("send", (to, Ask("nonsense"))), 5, Answer)
    back = eventually(lambda: (b := system.ask(Ask("report"), 5, Answer).value["back"])[1:] and b)
    assert [kind for kind, _ in back] == ["Ask", "Ask"]
    assert all("has no attribute 'nonsense'" in detail for _, detail in back)


def test_a_message_that_cannot_be_read(stage: Stage) -> None:
    """An unreadable message is told to its sender as text; its neighbours in the frame arrive."""
    system = stage.start(cast.Lab)
    pool = system.ask(Ask("addresses"), 5, Answer).value["pool"]
    system.ask(Ask("send_unreadable", pool), 5, Answer)
    back = eventually(lambda: system.ask(Ask("report"), 5, Answer).value["back"])
    assert back == [("NoneType", "unreadable: RuntimeError: these are not the bytes you are looking for")]
    assert system.ask(Ask("numbers"), 5, Answer, to=pool).value == [1, 2]
    assert system.ask(Ask("count"), 5, Answer, to=pool).value["unreadable"] == 1


def test_a_message_that_cannot_be_pickled(stage: Stage) -> None:
    """An unpicklable message comes back to its sender at once; its neighbours arrive."""
    system = stage.start(cast.Lab)
    pool = system.ask(Ask("addresses"), 5, Answer).value["pool"]
    system.ask(Ask("send_unpicklable", pool), 5, Answer)
    back = eventually(lambda: system.ask(Ask("report"), 5, Answer).value["back"])
    assert back[0][0] == "Unpicklable"
    assert "cannot pickle" in back[0][1]
    assert eventually(lambda: system.ask(Ask("numbers"), 5, Answer, to=pool).value == [1, 2])


def test_queues_are_bounded(stage: Stage) -> None:
    """Beyond its bound the queue to a stuck process makes dead letters; the rest arrives in order."""
    system = stage.start(cast.Lab, limits=Limits(batch_items=10, queue_items=100))
    pool = system.ask(Ask("addresses"), 5, Answer).value["pool"]
    pid = system.ask(Ask("pid"), 5, Answer, to=pool).value
    os.kill(pid, signal.SIGSTOP)
    try:
        system.ask(Ask("send_to_pool", list(range(150))), 10, Answer)
        eventually(lambda: len(system.ask(Ask("report"), 5, Answer).value["dead"]) == 50)
        system.ask(Ask("send_to_pool", list(range(150, 200))), 10, Answer)
        eventually(lambda: len(system.ask(Ask("report"), 5, Answer).value["dead"]) == 90)
        counters = system.ask(Ask("count"), 5, Answer).value
    finally:
        os.kill(pid, signal.SIGCONT)
    assert counters["overflowed"] == 90
    dead = system.ask(Ask("report"), 5, Answer).value["dead"]
    assert dead == [(pool, Numbered(number)) for number in (*range(100, 150), *range(160, 200))]
    seen = eventually(lambda: (s := system.ask(Ask("numbers"), 5, Answer, to=pool).value)[109:] and s)
    assert seen == [*range(100), *range(150, 160)]
    assert "queue to process" in stage.log()


def test_dead_letters(stage: Stage) -> None:
    """Messages to in-process actors and to processes that are gone reach the collector of dead letters."""
    system = stage.start(cast.Lab)
    found = system.ask(Ask("addresses"), 5, Answer).value
    system.ask(Ask("stop", found["inner"]), 5, Answer)
    system.ask(Ask("kill", found["pool"]), 5, Answer)
    eventually(lambda: len(system.ask(Ask("report"), 5, Answer).value["gone"]) == 2)
    for to in (found["inner"], found["pool"]):
        system.ask(Ask("send", (to, Numbered(7))), 5, Answer)
    system.tell(Numbered(8), to=found["inner"])
    dead = eventually(lambda: (d := system.ask(Ask("report"), 5, Answer).value["dead"])[2:] and d)
    assert sorted((str(to), message.number) for to, message in dead) == sorted(
        [(str(found["inner"]), 7), (str(found["inner"]), 8), (str(found["pool"]), 7)]
    )


def test_endless_talk_inside_starves_nobody(stage: Stage) -> None:
    """While in-process actors exchange messages for ever, sockets are served."""
    system = stage.start(cast.Flood)
    for _ in range(5):
        assert system.ask(Ask("pid"), 10, Answer).value > 0
