"""poll() and observe() over the fake and over real UDP: no event of a device makes a false status."""

from collections.abc import Iterator

import pytest

from actors.core.observing import FAIL, Observed, ObserveOptions, Record, observe
from actors.core.polling import FULL_CHUNK, BgpQuery, Epoch, PollAnswer, VrrpQuery
from tests.contract.agent_rig import PORTS, Poller, Rig, rigs

TRUTH = {PORTS[0]: "UP", PORTS[1]: "UP", PORTS[2]: "UP", PORTS[3]: "DOWN"}


@pytest.fixture(scope="module", params=["memory", "udp"])
def rig(request, tmp_path_factory) -> Iterator[Rig]:
    """One of the two worlds."""
    yield from rigs(request.param, tmp_path_factory.mktemp("agents"))


def published(answers: list[PollAnswer], port: str) -> list[Observed]:
    """What a watcher of that port would have written to /monitoring."""
    record = Record()
    out: list[Observed] = []
    for now, answer in enumerate(answers):
        status = answer.ports[port] if answer.reachable else FAIL
        record, event = observe(record, status, now, ObserveOptions())
        out += [event] if event is not None else []
    return out


def test_first_poll_tells_everything(rig):
    """The first poll finds indexes and statuses of ports, virtual routers and peers, and the device UP."""
    router, peer = VrrpQuery("ae0.1025", 7), BgpQuery("10.1.2.3")
    poller = Poller(rig, "plain29", *PORTS, vrrp=(router,), bgp=(peer,))
    answer = poller.poll()
    assert (answer.reachable, answer.reason, answer.device, answer.reindexed) == (True, "", "UP", True)
    assert answer.ports == TRUTH
    assert answer.vrrp == {router: "MASTER"}
    assert answer.bgp == {"10.1.2.3": "ESTABLISHED"}
    assert answer.indexes == {name: 501 + i for i, name in enumerate(PORTS)}
    again = poller.poll()
    assert (again.ports, again.vrrp, again.reindexed) == (TRUTH, {router: "MASTER"}, False)


def test_device_alone(rig):
    """Without ports one small PDU tells whether the device is up."""
    answer = Poller(rig, "plain29").poll()
    assert (answer.device, answer.ports, answer.reindexed) == ("UP", {}, False)


def test_device_alone_is_not_walked_after_a_reboot(rig):
    """Where no port is wanted, a restart costs no walk: the device is UP and its peer known at once."""
    device = rig.spare()
    poller = Poller(rig, device, bgp=(BgpQuery("10.1.2.3"),), epoch=Epoch(2**32 - 1, 5))
    answer = poller.poll()
    assert (answer.device, answer.bgp, answer.reindexed) == ("UP", {"10.1.2.3": "ESTABLISHED"}, False)
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
    assert [answer.ports[PORTS[1]] for answer in answers] == ["UP", "DOWN", "DOWN", "UP", "UP"]
    assert published(answers, PORTS[1]) == ["UP", "DOWN", "UP"]
    assert published(answers, PORTS[0]) == ["UP"]


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
    poller = Poller(rig, device, *PORTS, vrrp=(VrrpQuery("ae0.1025", 7),))
    answers = [poller.poll(), poller.poll()]
    for command in commands:
        assert rig.control(command.format(device))["ok"]
    answers += [poller.poll(), poller.poll()]
    for answer in answers:
        assert answer.ports == TRUTH
        assert set(answer.vrrp.values()) == {"MASTER"}
    # A bare reboot moves no index; it is noticed only if the agent had been up for longer than since then.
    assert answers[2].reindexed or commands == ["reboot {0}"]
    assert not answers[3].reindexed
    assert [published(answers, port) for port in PORTS] == [[TRUTH[port]] for port in PORTS]


def test_without_a_walk_a_swap_gives_unknown(rig):
    """When no walk is allowed, what cannot be believed is UNKNOWN; the next poll that may walk finds it."""
    device = rig.spare()
    poller = Poller(rig, device, *PORTS)
    poller.poll()
    rig.control(f"swap {device} xe-0/0/3 ae0.1025")
    answer = poller.poll(may_walk=False)
    assert set(answer.ports.values()) == {"UNKNOWN"}
    assert "no longer" in answer.reason
    assert poller.poll(may_walk=True).ports == TRUTH


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
        assert set(answer.ports.values()) == {"UNKNOWN"}
        assert answer.indexes == answers[0].indexes
    rig.control(f"quiet {device} off")
    answers.append(poller.poll())
    assert answers[-1].ports == TRUTH
    assert published(answers, PORTS[0]) == ["UP", FAIL, "UP"]
    assert published(answers[:2] + answers[3:], PORTS[0]) == ["UP"]


def test_port_that_is_not_there(rig):
    """An unknown ifName is NOT_FOUND without harm to others, and found once it appears."""
    device = rig.spare()
    poller = Poller(rig, device, PORTS[0], "xe-7/7/7")
    answer = poller.poll()
    assert answer.ports == {PORTS[0]: "UP", "xe-7/7/7": "NOT_FOUND"}
    assert answer.indexes == {PORTS[0]: 501, "xe-7/7/7": None}
    rig.control(f"port add xe-7/7/7 {device}")
    assert poller.poll().ports == {PORTS[0]: "UP", "xe-7/7/7": "UP"}
    rig.control(f"port remove xe-7/7/7 {device}")
    assert poller.poll().ports == {PORTS[0]: "UP", "xe-7/7/7": "NOT_FOUND"}


def test_of_twins_the_live_one_counts(rig):
    """Of three rows with one ifName the one that is up speaks, in this poll and the next."""
    poller = Poller(rig, "twins", "vtun2")
    for _ in range(2):
        answer = poller.poll()
        assert (answer.ports, answer.indexes) == ({"vtun2": "UP"}, {"vtun2": 9})


def test_many_ports_take_several_pdus(rig):
    """130 ports are polled in chunks; a change in the last one is seen."""
    names = [f"ge-0/0/{i}" for i in range(130)]
    poller = Poller(rig, "large", *names)
    assert set(poller.poll().ports.values()) == {"UP"}
    rig.control("port down ge-0/0/129 large")
    answer = poller.poll()
    assert [name for name, status in answer.ports.items() if status == "DOWN"] == ["ge-0/0/129"]
    rig.control("port up ge-0/0/129 large")


def test_too_big_shrinks_the_pdu_and_is_remembered(rig):
    """An agent with small replies is asked in smaller chunks, and the chunk goes into the next poll."""
    rig.control("limit large 400")
    names = [f"ge-0/0/{i}" for i in range(40)]
    poller = Poller(rig, "large", *names)
    answer = poller.poll()
    assert set(answer.ports.values()) == {"UP"}
    assert 1 <= answer.chunk < FULL_CHUNK
    assert set(poller.poll().ports.values()) == {"UP"}
    rig.control("limit large 1400")
    for _ in range(FULL_CHUNK):
        healed = poller.poll()
    assert healed.chunk == FULL_CHUNK


def test_vrrp_and_bgp_follow(rig):
    """Changes of a virtual router and of a peer are seen; those that are not configured are NOT_FOUND."""
    device = rig.spare()
    router, other = VrrpQuery("ae0.1025", 7), VrrpQuery("ae0.1025", 8)
    poller = Poller(rig, device, vrrp=(router, other), bgp=(BgpQuery("10.1.2.3"), BgpQuery("10.9.9.9")))
    poller.poll()
    rig.control(f"vrrp ae0.1025 7 BACKUP {device}")
    rig.control(f"bgp 10.1.2.3 IDLE {device}")
    answer = poller.poll()
    assert answer.vrrp == {router: "BACKUP", other: "NOT_FOUND"}
    assert answer.bgp == {"10.1.2.3": "IDLE", "10.9.9.9": "NOT_FOUND"}


@pytest.mark.parametrize(
    ("raw", "status"),
    [(1, "UP"), (2, "DOWN"), (3, "DOWN"), (4, "UNKNOWN"), (5, "DOWN"), (6, "DOWN"), (7, "DOWN")],
)
def test_raw_statuses(rig, raw, status):
    """Every ifOperStatus of a device comes through the wire as its status."""
    assert rig.control(f"port raw ae0 {raw} plain28")["ok"]
    assert Poller(rig, "plain28", "ae0").poll().ports == {"ae0": status}
