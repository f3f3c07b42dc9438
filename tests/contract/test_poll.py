"""poll() and observe() over the fake and over real UDP: no event of a device makes a false status."""

from collections.abc import Iterator

import pytest

from actors.core.asking import FULL_CHUNK, Plan, Query
from actors.core.observing import FAIL, ObserveOptions, Record, observe
from actors.core.polling import NO_NEWS, Epoch, PollAnswer
from tests.contract.agent_rig import PORTS, Poller, Rig, query, rigs

DEVICE = query("router")


def vrrp(vrid: int) -> Query:
    """A virtual router of CONFIG's devices."""
    return query("vrrp_session", interface="ae0.1025", vrid=vrid)


def bgp(peer: str) -> Query:
    """A BGP session."""
    return query("bgp_session", peer_address=peer)


TRUTH = {PORTS[0]: "UP", PORTS[1]: "UP", PORTS[2]: "UP", PORTS[3]: "DOWN"}


@pytest.fixture(scope="module", params=["memory", "udp"])
def rig(request, tmp_path_factory) -> Iterator[Rig]:
    """One of the two worlds."""
    yield from rigs(request.param, tmp_path_factory.mktemp("agents"))


def published(poller: Poller, answers: list[PollAnswer], port: str) -> list[str]:
    """What a watcher of that port would have written to /monitoring."""
    record = Record()
    out: list[str] = []
    for now, answer in enumerate(answers):
        status = poller.ports(answer)[port] if answer.reachable else FAIL
        record, event = observe(record, status, now, ObserveOptions())
        out += [event] if event is not None else []
    return out


def test_first_poll_tells_everything(rig):
    """The first poll finds indexes and statuses of ports, virtual routers and peers, and the device UP."""
    poller = Poller(rig, "plain29", *PORTS, more=(vrrp(7), bgp("10.1.2.3"), DEVICE))
    answer = poller.poll()
    assert (answer.reachable, answer.reason, answer.reindexed) == (True, "", True)
    assert answer.found == (*TRUTH.values(), "MASTER", "ESTABLISHED", "UP")
    assert answer.learned == {name: (501 + i,) for i, name in enumerate(PORTS)}
    again = poller.poll()
    assert (again.found, again.reindexed) == (answer.found, False)


def test_device_alone(rig):
    """Without ports one small PDU tells whether the device is up."""
    answer = Poller(rig, "plain29", more=(DEVICE,)).poll()
    assert (answer.found, answer.reindexed) == (("UP",), False)


def test_numbers_are_read_as_they_are(rig):
    """Readings come as numbers in the order of the queries, None where there is no number to be had."""
    counter = Query("1.3.6.1.2.1.31.1.1.1.6.#", "ae0.1025")
    queries = (counter, Query("1.3.6.1.2.1.1.5.0"), Query("1.3.6.1.9.9"), Query("1.3.6.1.2.1.2.1.0"))
    found = Poller(rig, "plain29", more=queries).poll().found
    assert isinstance(found[0], int)
    assert found[1:] == (None, None, 4)


def test_device_alone_is_not_walked_after_a_reboot(rig):
    """Where no port is wanted, a restart costs no walk: the device is UP and its peer known at once."""
    device = rig.spare()
    poller = Poller(rig, device, more=(bgp("10.1.2.3"), DEVICE), epoch=Epoch(2**32 - 1, 5))
    answer = poller.poll()
    assert (answer.found, answer.reindexed) == (("ESTABLISHED", "UP"), False)
    assert answer.epoch != Epoch(2**32 - 1, 5)


def test_port_goes_down_and_up(rig):
    """Each change of a port is published once, after the second equal look; its neighbours stay silent."""
    device = rig.spare()
    poller = Poller(rig, device, *PORTS)
    answers = [poller.poll()]
    assert rig.control(f"port down {PORTS[1]} {device}") == {"ok": True, "devices": [device]}
    answers += [poller.poll(), poller.poll()]
    rig.control(f"port up {PORTS[1]} {device}")
    answers += [poller.poll(), poller.poll()]
    assert [poller.ports(answer)[PORTS[1]] for answer in answers] == ["UP", "DOWN", "DOWN", "UP", "UP"]
    assert published(poller, answers, PORTS[1]) == ["UP", "DOWN", "UP"]
    assert published(poller, answers, PORTS[0]) == ["UP"]


@pytest.mark.parametrize(
    "commands",
    [
        ["reboot {0}"],
        ["renumber {0}"],
        ["renumber {0}", "reboot {0}"],
        ["swap {0} xe-0/0/3 ae0.1025"],
        ["swap {0} xe-0/0/3 ae0.1025", "reboot {0}"],
        ["port remove xe-0/0/3 {0}", "port add xe-0/0/3 {0}"],
        ["port add xe-9/9/9 {0}"],
    ],
    ids=" and ".join,
)
def test_no_false_event(rig, commands):
    """Reboot, renumbering, swapped indexes, replaced rows: every status of every poll is the true one."""
    device = rig.spare()
    poller = Poller(rig, device, *PORTS, more=(vrrp(7),))
    answers = [poller.poll(), poller.poll()]
    for command in commands:
        assert rig.control(command.format(device))["ok"]
    answers += [poller.poll(), poller.poll()]
    for answer in answers:
        assert answer.found == (*TRUTH.values(), "MASTER")
    # A bare reboot moves no index; it is noticed only if the agent had been up for longer than since then.
    assert answers[2].reindexed or commands == ["reboot {0}"]
    assert not answers[3].reindexed
    assert [published(poller, answers, port) for port in PORTS] == [[TRUTH[port]] for port in PORTS]


def test_without_a_walk_a_swap_gives_no_news(rig):
    """When no walk is allowed, what cannot be believed is no look at all; the next poll that may walk finds it."""
    device = rig.spare()
    poller = Poller(rig, device, *PORTS)
    poller.poll()
    rig.control(f"swap {device} xe-0/0/3 ae0.1025")
    answer = poller.poll(may_walk=False)
    assert set(answer.found) == {NO_NEWS}
    assert "no longer" in answer.reason
    assert poller.ports(poller.poll(may_walk=True)) == TRUTH


def test_without_a_walk_what_needs_no_index_is_still_told(rig):
    """Where the table has moved and no walk is allowed, ports are no news; device and peer are as they were told."""
    device = rig.spare()
    poller = Poller(rig, device, *PORTS, more=(bgp("10.1.2.3"), DEVICE))
    poller.poll()
    rig.control(f"port add xe-9/9/9 {device}")
    rig.control(f"bgp 10.1.2.3 IDLE {device}")
    answer = poller.poll(may_walk=False)
    assert answer.found == (NO_NEWS, NO_NEWS, NO_NEWS, NO_NEWS, "IDLE", "UP")
    assert "table changed" in answer.reason
    assert poller.poll(may_walk=True).found == (*TRUTH.values(), "IDLE", "UP")


def test_a_walk_learns_every_name_that_is_wanted_of_the_device(rig):
    """A poll of one port that has to walk learns the indexes of the others too."""
    device = rig.spare()
    poller = Poller(rig, device, *PORTS)
    plan = poller.request.plan
    answer = poller.poll(plan=Plan(plan.queries[:1], plan.indexes))
    assert (answer.found, answer.reindexed) == (("UP",), True)
    assert answer.learned == {name: (501 + i,) for i, name in enumerate(PORTS)}
    again = poller.poll()
    assert (poller.ports(again), again.reindexed) == (TRUTH, False)


def test_silent_device_is_unreachable_and_never_down(rig):
    """Silence gives reachable=False and UNKNOWN, publishes FAIL after two polls, and heals at once."""
    device = rig.spare()
    poller = Poller(rig, device, *PORTS)
    answers = [poller.poll()]
    rig.control(f"quiet {device} on")
    answers += [poller.poll(hasty=True), poller.poll(hasty=True)]
    for answer in answers[1:]:
        assert not answer.reachable
        assert answer.reason.startswith("Timeout: ")
        assert set(answer.found) == {"UNKNOWN"}
        assert answer.learned is None
    rig.control(f"quiet {device} off")
    answers.append(poller.poll())
    assert poller.ports(answers[-1]) == TRUTH
    assert published(poller, answers, PORTS[0]) == ["UP", FAIL, "UP"]
    assert published(poller, answers[:2] + answers[3:], PORTS[0]) == ["UP"]


def test_port_that_is_not_there(rig):
    """An unknown ifName is NOT_FOUND without harm to others, and found once it appears."""
    device = rig.spare()
    poller = Poller(rig, device, PORTS[0], "xe-7/7/7")
    answer = poller.poll()
    assert answer.found == ("UP", "NOT_FOUND")
    assert answer.learned == {PORTS[0]: (501,), "xe-7/7/7": ()}
    assert poller.poll(may_walk=False).found == ("UP", NO_NEWS)
    rig.control(f"port add xe-7/7/7 {device}")
    assert poller.poll().found == ("UP", "UP")
    rig.control(f"port remove xe-7/7/7 {device}")
    assert poller.poll().found == ("UP", "NOT_FOUND")


def test_of_twins_the_live_one_counts(rig):
    """Of three rows with one ifName the one that is up speaks, in this poll and the next."""
    poller = Poller(rig, "twins", "vtun2")
    for learned in ({"vtun2": (5, 9, 12)}, None):
        answer = poller.poll()
        assert (answer.found, answer.learned) == (("UP",), learned)
        assert poller.request.plan.indexes == {"vtun2": (5, 9, 12)}


def test_many_ports_take_several_pdus(rig):
    """130 ports are polled in chunks; a change in the last one is seen."""
    names = [f"ge-0/0/{i}" for i in range(130)]
    poller = Poller(rig, "large", *names)
    assert set(poller.poll().found) == {"UP"}
    rig.control("port down ge-0/0/129 large")
    answer = poller.poll()
    assert [name for name, status in poller.ports(answer).items() if status == "DOWN"] == ["ge-0/0/129"]
    rig.control("port up ge-0/0/129 large")


def test_five_thousand_interfaces(rig):
    """On a device of 5,000 interfaces one walk finds the wanted ones, the last of them too; then a poll is a PDU."""
    poller = Poller(rig, "huge", "xe-9/0/499", "xe-0/0/0")
    answer = poller.poll()
    assert (answer.found, answer.reindexed) == (("UP", "UP"), True)
    assert answer.learned == {"xe-9/0/499": (5500,), "xe-0/0/0": (501,)}
    again = poller.poll()
    assert (again.found, again.reindexed) == (("UP", "UP"), False)


def test_too_big_shrinks_the_pdu_and_is_remembered(rig):
    """An agent with small replies is asked in smaller chunks, and the chunk goes into the next poll."""
    rig.control("limit large 400")
    names = [f"ge-0/0/{i}" for i in range(40)]
    poller = Poller(rig, "large", *names)
    answer = poller.poll()
    assert set(answer.found) == {"UP"}
    assert 1 <= answer.chunk < FULL_CHUNK
    assert set(poller.poll().found) == {"UP"}
    rig.control("limit large 1400")
    for _ in range(FULL_CHUNK):
        healed = poller.poll()
    assert healed.chunk == FULL_CHUNK


def test_vrrp_and_bgp_follow(rig):
    """Changes of a virtual router and of a peer are seen; those that are not configured are NOT_FOUND."""
    device = rig.spare()
    poller = Poller(rig, device, more=(vrrp(7), vrrp(8), bgp("10.1.2.3"), bgp("10.9.9.9")))
    poller.poll()
    rig.control(f"vrrp ae0.1025 7 BACKUP {device}")
    rig.control(f"bgp 10.1.2.3 IDLE {device}")
    answer = poller.poll()
    assert answer.found == ("BACKUP", "NOT_FOUND", "IDLE", "NOT_FOUND")


@pytest.mark.parametrize(
    ("raw", "status"),
    [(1, "UP"), (2, "DOWN"), (3, "DOWN"), (4, "UNKNOWN"), (5, "DOWN"), (6, "DOWN"), (7, "DOWN")],
)
def test_raw_statuses(rig, raw, status):
    """Every ifOperStatus of a device comes through the wire as its status."""
    assert rig.control(f"port raw ae0 {raw} plain28")["ok"]
    assert Poller(rig, "plain28", "ae0").poll().found == (status,)
