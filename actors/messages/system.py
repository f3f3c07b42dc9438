"""Processes: what they are told at Boot, who is where, who lives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from actors.core.options import Options
from actors.ports import Agent, PointSink, SpanSink, Stacks, Store

Address = Any


def no_sink() -> None:
    """Measured values go nowhere else."""


def no_spans(_controller: str) -> None:
    """Nobody wants traces."""


def no_token() -> str:
    """The HTTP port asks for none."""
    return ""


@dataclass(frozen=True, slots=True)
class Wiring:
    """How an actor process makes its port: module-level functions, called in that process only. `token`: the
    secret that the HTTP port asks for, "" if none."""

    store: Callable[[], Store]
    stacks: Callable[[], Stacks]
    agent: Callable[[], Agent]
    token: Callable[[], str] = no_token
    #: A time-series store for measured values, None if there is none.
    sink: Callable[[], PointSink | None] = no_sink
    #: A collector of traces, None if there is none; told which controller they come from.
    spans: Callable[[str], SpanSink | None] = no_spans


@dataclass(frozen=True, slots=True)
class Boot:
    """run.py → Supervisor, and Supervisor → every process it creates: begin work.

    `owner` names this controller's boot; ownership in etcd is taken in its name. `wall_offset_s`: what to add
    to the runtime's clock for the time of day.
    """

    options: Options
    wiring: Wiring
    owner: str
    wall_offset_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Topology:
    """Supervisor → all processes, at start and after every restart of one: who is where now. `telemetry`: None
    where neither metrics nor traces are wanted."""

    generation: int
    bridge: Address
    heat: tuple[Address, ...]
    snmp: tuple[Address, ...]
    shards: tuple[Address, ...]
    telemetry: Address | None = None


@dataclass(frozen=True, slots=True)
class Ping:
    """Supervisor → every process: are you alive?"""

    seq: int


@dataclass(frozen=True, slots=True)
class Pong:
    """Every process → Supervisor: yes, as this process id. `generation`: of the topology it works with, 0 before
    Boot; whoever missed either is told both again."""

    seq: int
    pid: int
    generation: int = 0


@dataclass(frozen=True, slots=True)
class Tick:
    """A timer of the actor itself; `what` names it."""

    what: str
