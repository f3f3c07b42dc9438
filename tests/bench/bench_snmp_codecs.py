"""CPU per port status and PDUs per port-poll, side by side in one run. Prints, asserts nothing.

python -m tests.bench.bench_snmp_codecs [--rounds 3] [--rows 1000] [--gufo PYTHON]
One agent with `rows` interfaces; 50 of its ports are polled. `--gufo`: the Python of an environment that has
gufo-snmp, if that is to be compared too. CPU is that of the asking side, user and system, children included.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from actors.adapters.pysnmp_agent import PysnmpAgent
from actors.adapters.pysnmp_v3 import V3User
from actors.core.asking import IF_NAME
from actors.core.polling import PollRequest
from actors.ports import AgentTimeouts, DeviceAddress
from actors.snmp_poll import poll
from sim.snmp_agents import launch
from tests.bench.v3_agent import KEY, USER, snmpd_v3
from tests.contract.agent_rig import port, request_for

OPER = "1.3.6.1.2.1.2.2.1.8"
PORTS = 50
#: (status looks, PDUs) that one call of a way makes.
Way = Callable[[DeviceAddress, int], tuple[int, float]]

GUFO = """
import sys
from gufo.snmp.sync import SnmpSession
host, port, times = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
oids = [f"1.3.6.1.2.1.2.2.1.8.{501 + i}" for i in range(50)]
with SnmpSession(addr=host, port=port, community="bench") as session:
    for _ in range(times):
        assert len(session.get_many(oids)) == 50
"""


def cpu_s() -> float:
    """CPU seconds of this process and its ended children."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(resource.getrusage(kind).ru_utime + resource.getrusage(kind).ru_stime for kind in kinds)


def ours(codec: Any, v3: DeviceAddress | None = None) -> Way:
    """The product: one poll of 50 ports by names whose indexes are known, all checks included. `v3`: where a v3
    agent with the same ports is asked instead, as the user USER."""

    def way(where: DeviceAddress, times: int) -> tuple[int, float]:
        async def work() -> int:
            users = {USER: V3User(USER, KEY, "SHA256", KEY, "AES")} if v3 is not None else {}
            agent = PysnmpAgent({}, AgentTimeouts(), codec=codec, local_host="127.0.0.1", users=users)
            request: PollRequest = request_for(v3 or where, *(port(f"ge{i}") for i in range(PORTS)))
            for _ in range(times):
                answer = await poll(agent, request)
                assert set(answer.found) == {"UP"}
                request = request.after(answer)
            agent.close()
            return times * PORTS

        return asyncio.run(work()), 2 * times

    return way


def original(*, bulk: bool) -> Way:
    """A walk of ifName by pysnmp's hlapi, then a GET, for every port (contract 6.2)."""

    def way(where: DeviceAddress, times: int) -> tuple[int, float]:
        return times, times * asyncio.run(_original(where, times, bulk=bulk))

    return way


async def _original(where: DeviceAddress, times: int, *, bulk: bool) -> float:
    from pysnmp.hlapi.v3arch import asyncio as api

    engine, community = api.SnmpEngine(), api.CommunityData("bench", mpModel=1)
    target, context = await api.UdpTransportTarget.create((where.host, where.port)), api.ContextData()
    root = api.ObjectType(api.ObjectIdentity(IF_NAME))
    more: Any = {"lookupMib": False, "lexicographicMode": False}
    rows = 0
    for _ in range(times):
        found, rows = "", 0
        walk = (
            api.bulk_walk_cmd(engine, community, target, context, 0, 25, root, **more)
            if bulk
            else api.walk_cmd(engine, community, target, context, root, **more)
        )
        async for error, _, _, varbinds in walk:
            assert not error
            for oid, name in varbinds:
                rows += 1
                found = str(oid).rpartition(".")[2] if str(name) == "ge7" else found
        status = api.ObjectType(api.ObjectIdentity(f"{OPER}.{found}"))
        error, _, _, varbinds = await api.get_cmd(engine, community, target, context, status, lookupMib=False)
        assert not error
        assert int(varbinds[0][1]) == 1
    engine.close_dispatcher()
    return (rows / 25 if bulk else rows) + 1


def hlapi_get(where: DeviceAddress, times: int) -> tuple[int, float]:
    """pysnmp's hlapi with known indexes: one GET of 50."""

    async def work() -> None:
        from pysnmp.hlapi.v3arch import asyncio as api

        engine, community = api.SnmpEngine(), api.CommunityData("bench", mpModel=1)
        target, context = await api.UdpTransportTarget.create((where.host, where.port)), api.ContextData()
        rows = [api.ObjectType(api.ObjectIdentity(f"{OPER}.{501 + i}")) for i in range(PORTS)]
        for _ in range(times):
            error, _, _, found = await api.get_cmd(engine, community, target, context, *rows, lookupMib=False)
            assert not error
            assert len(found) == PORTS
        engine.close_dispatcher()

    asyncio.run(work())
    return times * PORTS, times


def command(name: str, *oids: str) -> Way:
    """net-snmp's command line, a process per PDU or walk."""

    def way(where: DeviceAddress, times: int) -> tuple[int, float]:
        for _ in range(times):
            call = [name, "-v2c", "-cbench", "-On", "-Oq", f"{where.host}:{where.port}", *oids]
            done = subprocess.run(call, check=True, capture_output=True, env={**os.environ, "MIBS": ""})
            assert len(done.stdout.splitlines()) >= PORTS
        return times * PORTS, times if len(oids) > 1 else times * 40

    return way


def gufo(python: str) -> Way:
    """gufo-snmp (Rust), 50 statuses per PDU, in an interpreter of its own."""

    def way(where: DeviceAddress, times: int) -> tuple[int, float]:
        subprocess.run([python, "-c", GUFO, where.host, str(where.port), str(times)], check=True)
        return times * PORTS, times

    return way


def snmpget_v3(v3: DeviceAddress) -> Way:
    """net-snmp's command line over v3, a process per PDU."""
    oids = [f"{OPER}.{501 + i}" for i in range(PORTS)]
    login = ["-v3", "-lauthPriv", "-u", USER, "-aSHA-256", "-A", KEY, "-xAES", "-X", KEY]

    def way(_where: DeviceAddress, times: int) -> tuple[int, float]:
        for _ in range(times):
            call = ["snmpget", *login, "-Oqn", f"{v3.host}:{v3.port}", *oids]
            done = subprocess.run(call, check=True, capture_output=True, env={**os.environ, "MIBS": ""})
            assert len(done.stdout.splitlines()) == PORTS
        return times * PORTS, times

    return way


def ways(gufo_python: str, v3: DeviceAddress | None) -> dict[str, tuple[Way, int]]:
    """Everything that can be compared here, and how many times in a round."""
    statuses = [f"{OPER}.{501 + i}" for i in range(PORTS)]
    found: dict[str, tuple[Way, int]] = {
        "ours, codec fast (status + name + uptime, judged)": (ours("fast"), 300),
        "ours, codec pysnmp": (ours("pysnmp"), 10),
        "pysnmp hlapi, GET of 50, nothing checked": (hlapi_get, 10),
        "pysnmp hlapi, walk and GET per port (the original)": (original(bulk=False), 1),
        "pysnmp hlapi, bulk walk and GET per port": (original(bulk=True), 2),
    }
    if shutil.which("snmpget"):
        found["net-snmp snmpget, a process for 50"] = (command("snmpget", *statuses), 20)
        found["net-snmp snmpbulkwalk of ifOperStatus, a process"] = (command("snmpbulkwalk", OPER), 5)
    if v3 is not None:
        found["ours, SNMPv3 SHA-256/AES on pysnmp's engine"] = (ours("fast", v3), 10)
    if v3 is not None and shutil.which("snmpget"):
        found["net-snmp snmpget, SNMPv3, a process for 50"] = (snmpget_v3(v3), 20)
    if gufo_python:
        found["gufo-snmp, GET of 50, nothing checked"] = (gufo(gufo_python), 3000)
    return found


def main() -> None:
    """Rounds one after the other, interleaved; medians."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--gufo", default="")
    asked = parser.parse_args()
    config = {
        "devices": [
            {
                "name": "d",
                "community": "bench",
                "interfaces": [f"ge{i}" for i in range(asked.rows)],
                "max_bytes": 1472,
            }
        ]
    }
    with tempfile.TemporaryDirectory(prefix="gatewright-bench-") as directory:
        agents, snmpd = launch.start(config, Path(directory) / "control"), None
        v3 = None
        if shutil.which("snmpd", path=os.environ.get("PATH", "") + ":/usr/sbin"):
            snmpd = snmpd_v3(Path(directory), tuple(f"ge{i}" for i in range(PORTS)))
            v3 = DeviceAddress("127.0.0.1", snmpd.port, USER)
        try:
            where = DeviceAddress(*agents.addresses["d"], "bench")
            measured: dict[str, list[float]] = {}
            pdus: dict[str, float] = {}
            for _ in range(asked.rounds):
                for name, (way, times) in ways(asked.gufo, v3).items():
                    began = cpu_s()
                    looks, sent = way(where, times)
                    measured.setdefault(name, []).append((cpu_s() - began) / looks * 1e6)
                    pdus[name] = sent / looks
        finally:
            agents.stop()
            if snmpd is not None:
                snmpd.stop()
    best = statistics.median(next(iter(measured.values())))
    for name, values in measured.items():
        micros = statistics.median(values)
        cost = f"{micros:12,.1f} µs CPU per port status, {micros / best:10,.1f} times ours"
        sys.stdout.write(f"{name:52} {cost}, {pdus[name]:8.2f} PDUs per port-poll\n")


if __name__ == "__main__":
    main()
