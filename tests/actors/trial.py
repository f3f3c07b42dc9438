"""A Rig to which things happen: processes die, answers are lost, messages go astray, Heat takes its time.

`Trial.declare` and `Trial.remove` are the API server: what it writes is not the controller's doing, so it is
neither counted nor disturbed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Self, TypeVar

from actors.core import keys
from actors.core.errors import ErrorClass, PortError
from actors.core.model import Ref
from actors.core.ownership import CONTROLLERS, SHARDS
from actors.messages import ResourceStatus
from actors.ports import Delete, Put, WriteSet
from actors.runtime.actor import BaseActor
from actors.runtime.host import Address
from actors.runtime.inline import InlineAddress, InlineHost, _Cell
from actors.supervisor import Supervisor
from config.examples import load_declarations, load_templates
from sim.fake_store import FakeStore
from sim.heat.engine import Settings
from tests.actors.rig import EXAMPLE, TYPES, Rig

Document = tuple[str, bytes]
Actor = TypeVar("Actor", bound=BaseActor)

NETWORK = Ref("network", "f2de53ae-bc76-46f2-b2ae-a7eefa9d6e57")
SUBNET = Ref("subnet", "e1353d56-b05a-43a9-b924-383ab0d64d7b")
PORT = Ref("port", "327f59b7-df38-4d8f-97db-d320defcab76")
PORT_2 = Ref("port", "a778c668-6ccb-4d46-9ec3-956693262d63")
DHCP_PORT = Ref("port", "bbaac433-1023-4660-88f0-ccd8c2c26c89")
SWITCH = Ref("ese_device", "9f05b260-26ca-46f7-98c3-ad88e411a989")
PHYSICAL_PORT = Ref("ese_physical_port", "976156ef-05b4-47f4-9497-a36531563a08")
PHYSICAL_PORT_2 = Ref("ese_physical_port", "5b2dee2e-7420-4cd4-b270-5081eb9eb371")
LOGICAL_PORT = Ref("ese_logical_port", "b04853c4-6ebf-441f-9093-ea4b844c4bc7")
LOGICAL_PORT_2 = Ref("ese_logical_port", "9c601c38-a854-459d-aec2-433873b3a4e6")
GATEWAY = Ref("common_function_gateway", "5c241c51-2003-407a-a239-689fabd19022")
ROUTER = Ref("edge_router", "8aba84f9-4675-4d22-a231-e9eabde80818")
#: A VLAN on a switch port, and everything that it needs: seven resources of six types.
CHAIN = (SWITCH, PHYSICAL_PORT, NETWORK, SUBNET, DHCP_PORT, PORT, LOGICAL_PORT)

#: (role, before) → what dies: "all" is the whole controller.
ROLES = ("all", "shard", "bridge", "heat", "snmp")

#: Two seconds for whatever Heat does on a stack, changes without effect included.
SLOW = Settings(extra_s=lambda action, name: 2.0)

#: Keys of who owns what: they tell of the controllers, not of resources.
OWNERSHIP = (CONTROLLERS, SHARDS)


class WildHost(InlineHost):
    """An InlineHost whose network is as bad as `meddle` says."""

    def __init__(self) -> None:
        super().__init__(pickling=False)
        #: How often a message between processes arrives (1: once), and after how many seconds.
        self.meddle: Callable[[object], Iterable[float]] = lambda message: (0.0,)

    def route(self, origin: _Cell, to: Address, message: object) -> None:
        """Deliver as `meddle` says; what stays within a process is not meddled with."""
        target = self._cells.get(to)
        if target is not None and target.process == origin.process:
            super().route(origin, to, message)
            return
        for delay_s in self.meddle(message):
            self.schedule(self.now + delay_s, to, message, origin.address)


@cache
def example() -> dict[str, bytes]:
    """The declarations of the seed, by key."""
    return dict(load_declarations(EXAMPLE, TYPES))


@cache
def templates() -> tuple[Document, ...]:
    """All template documents."""
    return tuple(load_templates())


def config_key(ref: Ref) -> str:
    """Where a resource is declared."""
    return keys.CONFIG + TYPES.path(ref)


def body_of(ref: Ref) -> dict[str, Any]:
    """Its body in the seed."""
    body: dict[str, Any] = json.loads(json.loads(example()[config_key(ref)])["body"])
    return body


@dataclass
class Trial(Rig):
    """One controller, its surroundings, and what befalls them. `faults` is told of every point of every request
    that the bridge makes of the store (`FakeStore`); `points` are the commits counted so far."""

    host: InlineHost = field(default_factory=WildHost)
    heat: Settings = field(default_factory=lambda: Settings(resource_s=0.3))
    faults: Callable[[str], None] = lambda point: None
    stores: list[FakeStore] = field(default_factory=list)

    def store(self) -> FakeStore:
        """The store of a new bridge; that of the last one died with it."""
        for old in self.stores:
            old.kill()
        made = FakeStore(self.etcd, faults=lambda point: self.faults(point))
        self.stores.append(made)
        return made

    @property
    def network(self) -> WildHost:
        """The host, to meddle with."""
        assert isinstance(self.host, WildHost)
        return self.host

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_details: object) -> None:
        self.host.close()

    # ------------------------------------------------------------------------------------ the API server

    def declare(self, documents: Sequence[Document]) -> None:
        """Write these, one revision each."""
        for key, value in documents:
            self.client.commit([WriteSet((Put(key, value),))])

    def declare_example(self, refs: Sequence[Ref] = CHAIN) -> None:
        """The templates and these resources of the seed."""
        self.declare([*templates(), *((config_key(ref), example()[config_key(ref)]) for ref in refs)])

    def change(self, ref: Ref, version: int, *, marked: bool = False, **body: Any) -> None:
        """A further version of a resource of the seed."""
        changed = {**body_of(ref), **body}
        self.declare([(config_key(ref), keys.encode_declared(changed, version, marked_for_deletion=marked))])

    def remove(self, ref: Ref) -> None:
        """What the API server does once a resource is deleted (contract 8.3)."""
        path = TYPES.path(ref)
        for root in (keys.CONFIG, keys.STATE):
            self.client.commit([WriteSet((Delete(root + path),))])

    # --------------------------------------------------------------------------------------------- accidents

    def member(self, role: str, index: int = 0) -> InlineAddress:
        """The present process of that role."""
        found: list[InlineAddress] = list(self.host.actor(self.root, Supervisor)._of(role))
        return found[index]

    def kill(self, role: str) -> None:
        """End a process, or ("all") everything, which then is started anew."""
        if role == "all":
            self.crash()
            self.start()
        else:
            self.host.crash(self.member(role))

    def inside(self, cls: type[Actor]) -> list[Actor]:
        """The living actors of a class within the (first) shard, to look into."""
        children = self.host.children(self.member("shard"))
        return [self.host.actor(child, cls) for child in children if child.name == cls.__name__]

    # --------------------------------------------------------------------------------------------- findings

    def at(self, root: str, ref: Ref) -> Any:
        """The decoded value of a resource's key, None if there is none."""
        return self.get(root + TYPES.path(ref))

    def state(self, ref: Ref) -> Any:
        """Its `/state`."""
        return self.at(keys.STATE, ref)

    def row(self, ref: Ref) -> ResourceStatus:
        """What a person sees of it."""
        return next(row for row in self.status().rows if row.ref == ref)

    def touched(self, ref: Ref) -> list[tuple[int, tuple[str, ...]]]:
        """(revision, short names of keys) of everything that the controller wrote of a resource."""
        found = []
        for revision, changes in self.etcd._history:
            names = tuple(change.key for change in changes if concerns(change.key, ref))
            if names and not all(name.startswith(keys.CONFIG) for name in names):
                found.append((revision, tuple(sorted(short(name) for name in names))))
        return found

    def values(self, key: str) -> list[tuple[int, Any]]:
        """(revision, value) of every write of a key; None where it was deleted."""
        found: list[tuple[int, Any]] = []
        for revision, changes in self.etcd._history:
            for change in changes:
                if change.key == key:
                    raw = getattr(change, "value", None)
                    found.append((revision, None if raw is None else json.loads(raw)))
        return found

    def written(self, root: str, ref: Ref) -> list[tuple[int, Any]]:
        """`values` of a resource's key."""
        return self.values(root + TYPES.path(ref))

    def living(self) -> list[str]:
        """The names of all stacks, once each."""
        tenants = self.stacks.engine._tenants
        return sorted(one.name for tenant in list(tenants) for one in self.stacks.engine.living(tenant))

    def leftovers(self, ref: Ref) -> list[str]:
        """Every key with the id of a resource."""
        return [key for key in self.keys("/") if ref.id in key]

    def end(self) -> dict[str, Any]:
        """All keys but those of this boot and the declarations, in a form that can be compared: see `plain`."""
        ours = (CONTROLLERS, SHARDS, keys.CONFIG)
        names = [key for key in self.keys("/") if not key.startswith(ours)]
        return {key: plain(key, self.get(key)) for key in names}


def plain(key: str, value: Any) -> Any:
    """A value without what may differ between equal runs: times, retries, ids made up by Heat, order of outputs."""
    value = json.loads(anonymous(json.dumps(value)))
    if key.startswith(keys.HISTORY):
        told = ("version", "action", "outcome", "error", "skipped")
        return [{k: line[k] for k in told if k in line} for line in value["lines"]]
    if key.startswith(keys.HEAT_STACKS):
        value["output"].sort(key=str)
    if key.startswith(keys.STATE) and "heat_outputs" in value["state"]:
        value["state"]["heat_outputs"] = sorted(json.loads(value["state"]["heat_outputs"]), key=str)
    return value


UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@cache
def declared_ids() -> frozenset[str]:
    """Ids that declarations mention."""
    return frozenset(UUID.findall(b"".join(example().values()).decode()))


def anonymous(text: str) -> str:
    """The text without the ids that Heat made up."""
    return UUID.sub(lambda found: found[0] if found[0] in declared_ids() else "<made up>", text)


def concerns(key: str, ref: Ref) -> bool:
    """Whether a key is one of a resource."""
    return key.endswith(TYPES.path(ref)) or f":{ref}:" in key


def short(key: str) -> str:
    """`state`, `job_state`, `create:heat_worker`…: a key without its resource."""
    if key.startswith(keys.JOBS):
        return ":".join(key[len(keys.JOBS) :].split(":")[:2])
    roots = (keys.CONFIG, keys.STATE, keys.MONITORING, keys.HEAT_STACKS, keys.JOB_STATE, keys.ACCEPTED)
    for root in (*roots, keys.TARGETS, keys.HISTORY, keys.ATTEMPTS):
        if key.startswith(root):
            return "accepted" if root == keys.ACCEPTED else root.strip("/").rpartition("/")[2]
    return key


def lost(kind: str = "Lost") -> PortError:
    """A request whose answer was lost."""
    return PortError(ErrorClass.IN_DOUBT, kind, "the answer was lost")


def down(kind: str = "Unreachable") -> PortError:
    """A request that did not get through."""
    return PortError(ErrorClass.TRANSIENT, kind, "connection refused")
