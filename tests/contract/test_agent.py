"""The Agent port: one suite over the fake and over pysnmp with real UDP agents."""

import asyncio
from collections.abc import Iterator

import pytest

from actors.core.asking import IF_NAME, SYS_UP_TIME
from actors.core.errors import ErrorClass, PortError
from actors.ports import Agent, DeviceAddress
from tests.contract.agent_rig import NAME, PORTS, SECRET, Rig, rigs, using

IF_OPER_STATUS = "1.3.6.1.2.1.2.2.1.8"
SYS_NAME = "1.3.6.1.2.1.1.5.0"
HC_IN = "1.3.6.1.2.1.31.1.1.1.6.501"


@pytest.fixture(scope="module", params=["memory", "udp"])
def rig(request, tmp_path_factory) -> Iterator[Rig]:
    """One of the two worlds."""
    yield from rigs(request.param, tmp_path_factory.mktemp("agents"))


def failure_of(rig: Rig, device: DeviceAddress, *oids: str, hasty: bool = True) -> PortError:
    """The error of a GET; by default silence is expected."""

    async def ask(agent: Agent) -> PortError:
        with pytest.raises(PortError) as caught:
            await agent.get(device, oids)
        return caught.value

    return using(rig, ask, hasty=hasty)


def test_get_has_every_oid_with_its_type(rig):
    """Numbers come as int, octets as bytes, what is not there as None, each under its OID."""
    oids = [f"{IF_NAME}.501", SYS_UP_TIME, f"{IF_OPER_STATUS}.504", f"{IF_NAME}.9", "1.3.6.1.9.9", HC_IN]
    values = using(rig, lambda agent: agent.get(rig.where("plain29"), oids))
    assert list(values) == oids
    assert values[f"{IF_NAME}.501"] == PORTS[0].encode()
    assert values[f"{IF_OPER_STATUS}.504"] == 2
    assert values[f"{IF_NAME}.9"] is None
    assert values["1.3.6.1.9.9"] is None
    assert isinstance(values[SYS_UP_TIME], int)
    assert isinstance(values[HC_IN], int)


@pytest.mark.parametrize(
    "oid", ["1.3", IF_NAME, f"{IF_NAME}.501.1", f"{SYS_NAME}.0", "1.3.6.1.2.1.1.5.1", "2.999.1"]
)
def test_what_is_no_instance_is_none(rig, oid):
    """Prefixes, overlong and foreign OIDs have no value."""
    assert using(rig, lambda agent: agent.get(rig.where("plain29"), [oid])) == {oid: None}


def test_walk_of_a_column(rig):
    """A walk returns every row of a column that needs several GETBULKs, in order, and nothing else."""
    rows = using(rig, lambda agent: agent.walk(rig.where("large"), IF_NAME))
    assert list(rows.items()) == [(f"{IF_NAME}.{501 + i}", f"ge-0/0/{i}".encode()) for i in range(130)]


def test_walk_of_everything_agrees_with_get(rig):
    """A walk from the top ends at the end of the MIB, and GET of each walked OID finds a value."""

    async def both(agent: Agent):
        rows = await agent.walk(rig.where("plain29"), "1.3.6.1")
        return rows, await agent.get(rig.where("plain29"), [oid for oid in rows if ".31.1.1.1." not in oid])

    rows, values = using(rig, both)
    assert len(rows) == 5 + 7 * len(PORTS) + 2
    assert None not in values.values()
    assert rows[SYS_NAME] == b"plain29"


def test_walk_of_nothing_is_empty(rig):
    """Under a subtree without rows there is nothing."""
    assert using(rig, lambda agent: agent.walk(rig.where("plain29"), "1.3.6.1.4.1.2636")) == {}


@pytest.mark.parametrize("name", ["wrong-community", ""])
def test_wrong_community_is_silence(rig, name):
    """An agent does not answer a wrong community: TRANSIENT/Timeout, and no text tells name or secret."""
    where = rig.where("plain29")
    error = failure_of(rig, DeviceAddress(where.host, where.port, name), SYS_UP_TIME)
    assert (error.failure.error_class, error.failure.kind) == (ErrorClass.TRANSIENT, "Timeout")
    assert SECRET not in repr(error)
    assert "wrong-community" not in repr(error)


def test_community_names_are_resolved(rig):
    """A known name stands for its secret, an unknown one for itself; the secret is in no repr."""
    where = rig.where("literal")

    async def ask(agent: Agent):
        assert SECRET not in repr(agent)
        assert SECRET not in repr(rig.where("plain29"))
        return await agent.get(DeviceAddress(where.host, where.port, "literal-community"), [SYS_NAME])

    assert using(rig, ask) == {SYS_NAME: b"literal"}
    assert failure_of(rig, DeviceAddress(where.host, where.port, NAME), SYS_NAME).failure.kind == "Timeout"


def test_dead_host_is_timeout(rig):
    """Nobody listens: TRANSIENT/Timeout."""
    error = failure_of(rig, DeviceAddress("127.0.3.99", 1, NAME), SYS_UP_TIME)
    assert (error.failure.error_class, error.failure.kind) == (ErrorClass.TRANSIENT, "Timeout")


def test_quiet_device_is_timeout_until_it_speaks_again(rig):
    """A device that falls silent times out, walks too, and answers again afterwards."""
    device = rig.spare()
    rig.control(f"quiet {device} on")
    assert failure_of(rig, rig.where(device), SYS_UP_TIME).failure.kind == "Timeout"
    with pytest.raises(PortError, match="Timeout"):
        using(rig, lambda agent: agent.walk(rig.where(device), IF_NAME), hasty=True)
    rig.control(f"quiet {device} off")
    assert using(rig, lambda agent: agent.get(rig.where(device), [SYS_NAME])) == {SYS_NAME: device.encode()}


def test_too_big(rig):
    """A reply that the agent cannot send is TERMINAL/TooBig; a smaller one passes, and so does a walk."""
    device = rig.spare()
    rig.control(f"limit {device} 120")
    names = [f"{IF_NAME}.{index}" for index in range(501, 505)]
    error = failure_of(rig, rig.where(device), *names, hasty=False)
    assert (error.failure.error_class, error.failure.kind) == (ErrorClass.TERMINAL, "TooBig")
    assert using(rig, lambda agent: agent.get(rig.where(device), names[:1])) == {names[0]: b"xe-0/0/3"}
    assert len(using(rig, lambda agent: agent.walk(rig.where(device), IF_NAME))) == 4


def test_many_at_once(rig):
    """300 requests to 30 devices at once are all answered, each by its own device."""

    async def ask(agent: Agent):
        names = [f"plain{i % 30}" for i in range(300)]
        answers = await asyncio.gather(*(agent.get(rig.where(name), [SYS_NAME]) for name in names))
        return [(name, answer[SYS_NAME]) for name, answer in zip(names, answers, strict=True)]

    rig.control("quiet plain0 off")
    assert all(name.encode() == found for name, found in using(rig, ask))


def test_dead_devices_do_not_hinder_others(rig):
    """With 20 requests to dead hosts under way another device answers."""

    async def ask(agent: Agent):
        dead = [
            asyncio.ensure_future(agent.get(DeviceAddress(f"127.0.3.{i}", 1, NAME), [SYS_UP_TIME]))
            for i in range(1, 21)
        ]
        answer = await agent.get(rig.where("plain29"), [SYS_NAME])
        return answer, await asyncio.gather(*dead, return_exceptions=True)

    answer, dead = using(rig, ask)
    assert answer == {SYS_NAME: b"plain29"}
    assert all(isinstance(error, PortError) for error in dead)


def test_counters_have_the_same_names(rig):
    """Whichever agent: what was noticed on the wire is told under four names."""

    async def ask(agent: Agent):
        await agent.get(rig.where("plain29"), [SYS_UP_TIME])
        return agent.counters()

    assert set(using(rig, ask)) == {"refused", "repeated", "late", "moved"}


def test_closed_port_refuses(rig):
    """After close() every request fails with a PortError; closing twice is fine."""

    async def ask(agent: Agent):
        await agent.get(rig.where("plain29"), [SYS_NAME])
        agent.close()
        agent.close()
        for request in (
            agent.get(rig.where("plain29"), [SYS_NAME]),
            agent.walk(rig.where("plain29"), IF_NAME),
        ):
            with pytest.raises(PortError, match="Closed"):
                await request

    using(rig, ask)
