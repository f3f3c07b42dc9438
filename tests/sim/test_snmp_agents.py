"""The embedded SNMP agents: their process, control commands, configuration, tables and protocol."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.snmp_agents.answer import answer
from sim.snmp_agents.ber import (
    GET,
    GET_BULK,
    GET_NEXT,
    Arcs,
    MalformedError,
    Typed,
    arcs_of,
    decode_request,
    integer,
    tlv,
    varbind,
)
from sim.snmp_agents.config import ConfigError, devices_of
from sim.snmp_agents.control import execute
from sim.snmp_agents.launch import AgentsError, RunningAgents, start
from sim.snmp_agents.mib import BGP_PEER_STATE, IF_NAME, SYS_NAME, DeviceTables

ROOT = Path(__file__).resolve().parents[2]
CONFIG = {"devices": [{"name": "r1", "community": "c", "interfaces": ["ge0", "ge1"]}]}


def tables(**more) -> DeviceTables:
    """A small device."""
    return DeviceTables("r1", community="c", interfaces=["ge0", "ge1", "ge0.7"], **more)


def request(
    kind: int, *oids: Arcs, a: int = 0, b: int = 0, community: bytes = b"c", version: int = 1
) -> bytes:
    """An encoded request with id 77."""
    body = integer(77) + integer(a) + integer(b) + tlv(0x30, b"".join(varbind(o, (5, None)) for o in oids))
    return tlv(0x30, integer(version) + tlv(4, community) + tlv(kind, body))


def alive(pid: int) -> bool:
    """Whether that process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone_within(pid: int, seconds: float) -> bool:
    """Wait for the end of a process."""
    deadline = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pid)


@pytest.fixture
def agents(tmp_path) -> Iterator[RunningAgents]:
    """Running agents for CONFIG."""
    running = start(CONFIG, tmp_path / "control")
    yield running
    running.stop()


def test_start_and_stop(agents, tmp_path):
    """Started agents have loopback addresses and obey commands; stop() leaves no process and no file."""
    assert agents.addresses["r1"][0] == "127.0.0.1"
    assert agents.control("list")["devices"]["r1"]["ports"]["ge0"] == {"index": 501, "oper": 1}
    agents.stop()
    agents.stop()
    assert not alive(agents.pid)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(AgentsError):
        agents.control("list")


def test_agents_die_with_a_killed_parent(tmp_path):
    """When the process that started the agents is killed with -9, they end too."""
    code = (
        "import sys, time; from pathlib import Path; from sim.snmp_agents.launch import start;"
        f"print(start({CONFIG!r}, Path(sys.argv[1])).pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "control")], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    with parent, parent.stdout:
        pid = int(parent.stdout.readline())
        assert alive(pid)
        os.kill(parent.pid, signal.SIGKILL)
    assert gone_within(pid, 10)


def test_command_line_reads_yaml_and_ends_on_sigterm(tmp_path):
    """`python -m sim.snmp_agents --config FILE` prints READY with addresses, and SIGTERM is exit code 0."""
    (tmp_path / "agents.yaml").write_text("devices:\n- {name: r9, community: c, interfaces: [xe-0/0/3]}\n")
    command = [sys.executable, "-m", "sim.snmp_agents", "--config", str(tmp_path / "agents.yaml")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        word, _, addresses = process.stdout.readline().partition(" ")
        process.terminate()
        assert process.wait(10) == 0
    assert word == "READY"
    assert json.loads(addresses)["r9"].startswith("127.0.0.1:")


def test_a_taken_port_is_told(agents, tmp_path, capfd):
    """Agents that cannot bind do not start, and say why."""
    host, port = agents.addresses["r1"]
    config = {"devices": [{**CONFIG["devices"][0], "host": host, "port": port}]}
    with pytest.raises(AgentsError, match="exit code 2"):
        start(config, tmp_path / "second")
    assert "in use" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("devices", "text"),
    [
        ([{"name": "a", "community": "c", "host": "10.0.0.1"}], "a: 10.0.0.1 is not a loopback"),
        ([{"name": "a", "community": "c", "host": "nowhere"}], "device a: 'nowhere'"),
        ([{"name": "a"}], "device a: name and community"),
        ([{"community": "c"}], r"device \?: name and community"),
        ([{"name": "a", "community": "c", "colour": 1}], "colour"),
        (
            [{"name": "a", "community": "c", "bgp": [{"peer": "1.1.1.1", "state": "HAPPY"}]}],
            "device a: .*HAPPY",
        ),
        ([{"name": "a", "community": "c"}] * 2, "two devices are named a"),
    ],
)
def test_bad_configuration_names_the_device(devices, text):
    """What cannot be used is refused with the device's name and the reason."""
    with pytest.raises(ConfigError, match=text):
        devices_of({"devices": devices}, 0.0)


def test_synthetic_devices():
    """The synthetic mode makes as many devices and ports as asked, each on an address of its own."""
    placed = devices_of({"synthetic": {"devices": 300, "ports": 50, "port": 161}}, 0.0)
    assert len({device.host for device in placed}) == 300
    assert {len(device.tables.interfaces) for device in placed} == {50}
    assert placed[299].host == "127.1.1.44"
    assert placed[0].tables.named("xe-1/0/1")[0].index == 550


@pytest.mark.parametrize(
    "line",
    [
        *("", "nonsense", "list all", "reboot", "quiet r1 maybe", "quiet r2 on", "limit r1 many"),
        *("port down", "port down ge9", "port down ge0 r2", "port down ge0 r1 r1", "port raw ge0 8"),
        *("vrrp ge0 x MASTER", "vrrp ge0 1 MASTER", "bgp 1.1.1.1 SAD", "swap r1 ge0 ge9"),
    ],
)
def test_bad_commands_are_refused(line):
    """A command that makes no sense is answered with ok=false and a reason, and changes nothing."""
    device = tables()
    before = execute({"r1": device}, "list", 1.0)
    result = execute({"r1": device}, line, 1.0)
    assert result["ok"] is False
    assert result["error"]
    assert execute({"r1": device}, "list", 1.0) == before


def test_a_command_without_device_reaches_all_that_have_the_port():
    """`port down NAME` changes every device with a port of that name, and tells which."""
    devices = {"a": tables(), "b": DeviceTables("b", community="c"), "d": tables()}
    assert execute(devices, "port down ge1", 1.0) == {"ok": True, "devices": ["a", "d"]}
    assert [d.named("ge1")[0].oper for d in (devices["a"], devices["d"])] == [2, 2]


def walked(device: DeviceTables, now: float) -> list[tuple[Arcs, Typed]]:
    """The whole MIB by next_after."""
    rows: list[tuple[Arcs, Typed]] = []
    cursor: Arcs = (0,)
    while (found := device.next_after(cursor, now)) is not None:
        rows.append(found)
        cursor = found[0]
    return rows


def test_next_and_get_agree():
    """Every instance that next_after finds has the same value by get, in ascending order."""
    device = tables(
        vrrp=[{"interface": "ge0", "vrid": v} for v in (3, 1)],
        bgp=[{"peer": p} for p in ("10.0.0.2", "9.255.0.1", "10.0.0.10")],
    )
    rows = walked(device, 10.0)
    assert [oid for oid, _ in rows] == sorted({oid for oid, _ in rows})
    assert all(device.get(oid, 10.0) == typed for oid, typed in rows)
    assert len(rows) == 5 + 7 * 3 + 2 + 3
    assert [
        oid[len(BGP_PEER_STATE) :] for oid, _ in rows if oid[: len(BGP_PEER_STATE)] == BGP_PEER_STATE
    ] == [
        (9, 255, 0, 1),
        (10, 0, 0, 2),
        (10, 0, 0, 10),
    ]


@given(st.lists(st.integers(0, 40), min_size=2, max_size=14).map(tuple))
def test_next_after_any_oid_is_the_first_greater_one(oid):
    """next_after of any OID at all is the first instance of the walk that is greater."""
    device = tables()
    rows = walked(device, 10.0)
    found = device.next_after(oid, 10.0)
    assert found == next((row for row in rows if row[0] > oid), None)


def test_counters_grow_only_while_up_and_start_at_zero_after_reboot():
    """ifHCInOctets grows with time, stands while the port is down, and is small again after a reboot."""
    device = tables()
    counter = arcs_of("1.3.6.1.2.1.31.1.1.1.6.501")

    def octets(now: float) -> int:
        typed = device.get(counter, now)
        assert typed is not None
        assert isinstance(typed[1], int)
        return typed[1]

    assert 0 < octets(10.0) < octets(20.0)
    device.set_port("ge0", 2, 20.0)
    assert octets(20.0) == octets(99.0)
    device.set_port("ge0", 1, 99.0)
    assert octets(100.0) > octets(99.0)
    device.reboot(100.0)
    assert octets(100.0) == 0


@pytest.mark.parametrize(
    "datagram",
    [
        request(GET, (1, 3), community=b"other"),
        request(GET, (1, 3), version=0),
        request(0xA3, (1, 3)),
        request(0xA2, (1, 3)),
        b"",
        b"\x30",
        request(GET, (1, 3))[:-1],
        request(GET, (1, 3)) + b"\0",
    ],
)
def test_silence(datagram):
    """Wrong community, SNMPv1, SET, responses and garbage are not answered."""
    assert answer(tables(), datagram, 1.0) is None


@given(st.binary(max_size=80), st.integers(0, 40), st.integers(0, 255))
def test_any_bytes_are_read_or_refused(noise, at, octet):
    """The decoder raises MalformedError and nothing else, for noise and for damaged requests."""
    damaged = bytearray(request(GET_BULK, IF_NAME, (1, 3, 6, 1), a=1, b=10))
    damaged[at] = octet
    for datagram in (noise, bytes(damaged)):
        try:
            decode_request(datagram)
        except MalformedError:
            continue


def reply_oids(device: DeviceTables, datagram: bytes) -> tuple[int, int, list[Arcs]]:
    """Error status, length and OIDs of an answer."""
    reply = answer(device, datagram, 1.0)
    assert reply is not None
    # A response has the shape of a request, except that values are not NULL.
    decoded = decode_request(reply)
    return decoded.a, len(reply), list(decoded.oids)


def test_getnext_and_getbulk_follow_the_rfc():
    """GETNEXT takes one step per OID; GETBULK takes non-repeaters once and the others row by row."""
    device = tables()
    assert reply_oids(device, request(GET_NEXT, SYS_NAME, IF_NAME))[2] == [(*SYS_NAME, 0), (*IF_NAME, 501)]
    found = reply_oids(device, request(GET_BULK, SYS_NAME, IF_NAME, a=1, b=2))[2]
    assert found == [(*SYS_NAME, 0), (*IF_NAME, 501), (*IF_NAME, 502)]
    end = (1, 3, 6, 1, 9)
    assert reply_oids(device, request(GET_BULK, end, b=9))[2] == [end]
    assert reply_oids(device, request(GET_BULK, b=9))[2] == []


@given(st.integers(60, 400), st.integers(0, 60))
def test_no_reply_is_longer_than_the_device_can_send(limit, repetitions):
    """GET becomes tooBig with no varbinds, GETBULK is cut to fit."""
    device = tables(max_bytes=limit)
    status, size, oids = reply_oids(device, request(GET, *[(*IF_NAME, 501 + i) for i in range(3)] * 3))
    assert size <= limit
    assert (status, bool(oids)) in ((0, True), (1, False))
    status, size, _ = reply_oids(device, request(GET_BULK, (1, 3), b=repetitions))
    assert (status, size <= limit) == (0, True)
