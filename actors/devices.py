"""The DeviceActors of one shard, and what every shard of the controller wants of them.

Guarantees: what a shard has asked for here is watched until it says otherwise or is gone for good: a DeviceActor
that ends is begun again with all of it; statuses go to whoever asked last, at least once (`actors.owed`). What a
shard that died had asked for is kept for ORPHAN_S, because the one that replaces it asks for the same again, and
then goes on where it stood.
"""

from __future__ import annotations

from dataclasses import replace

from actors.core.model import Ref
from actors.desk import Desk
from actors.device import DeviceActor
from actors.messages import (
    Address,
    DeviceBegin,
    DeviceHeard,
    PoolChanged,
    TargetStatus,
    Tick,
    UnwatchTargets,
    WatchTarget,
)
from actors.owed import Owed
from actors.runtime.actor import BaseActor

ORPHAN_S = 60.0
#: The name of the timer that ends what nobody asked for again.
TICK = "orphans"

Key = tuple[Ref, str]


class Devices:
    """Works through its shard, whose children the DeviceActors are; not an actor of its own."""

    def __init__(self, shard: BaseActor, desk: Desk, owed: Owed) -> None:
        self._shard, self._desk, self._owed = shard, desk, owed
        self._actors: dict[str, Address] = {}
        self._device_of: dict[Address, str] = {}
        self._wanted: dict[str, dict[Key, WatchTarget]] = {}
        #: Those that do not answer.
        self.silent: set[str] = set()

    def __len__(self) -> int:
        return len(self._actors)

    def receive(self, message: WatchTarget | UnwatchTargets | DeviceHeard) -> None:
        """What shards want of a device, and what a device does; all of it may come twice."""
        match message:
            case WatchTarget():
                self._watch(message)
            case UnwatchTargets():
                self._unwatch(message)
            case DeviceHeard():
                (self.silent.discard if message.answers else self.silent.add)(message.device)

    def _watch(self, message: WatchTarget) -> None:
        device = message.target.device
        self._wanted.setdefault(device, {})[message.ref, message.target.name] = message
        self._shard.tell(self._actor(device), message)

    def _unwatch(self, message: UnwatchTargets) -> None:
        wanted = self._wanted.get(message.device, {})
        for key in [k for k in wanted if k[0] == message.ref and k[1] in (message.names or (k[1],))]:
            del wanted[key]
        if not wanted:
            self._wanted.pop(message.device, None)
        if message.device in self._actors:
            self._shard.tell(self._actors[message.device], message)

    def told(self, message: TargetStatus) -> None:
        """A DeviceActor tells a status: on to whoever wants to know it."""
        key = (message.ref, message.name)
        wanted = self._wanted.get(message.device, {})
        known = wanted.get(key)
        if known is None:
            return
        if known.fresh:  # its first hold is over: a DeviceActor that is begun again need not hold anew
            wanted[key] = replace(known, fresh=False)
        self._owed.send((message.device, key), known.reply_to, message)

    def exited(self, address: Address) -> bool:
        """A child of the shard ended; returns whether it was a DeviceActor. One with work is begun again."""
        device = self._device_of.pop(address, None)
        if device is None:
            return False
        if self._actors.get(device) == address:
            del self._actors[device]
            self.silent.discard(device)
            for message in self._wanted.get(device, {}).values():
                self._shard.tell(self._actor(device), message)
        return True

    def pool_changed(self) -> None:
        """An SnmpPollerActor was replaced."""
        for address in self._actors.values():
            self._shard.tell(address, PoolChanged())

    def shards_changed(self) -> None:
        """A shard was replaced: the new one has ORPHAN_S to ask for what the old one had asked for."""
        self._shard.after(ORPHAN_S, Tick(TICK))

    def end_orphans(self) -> None:
        """Stop watching what only shards that are gone had asked for."""
        alive = self._desk.topology.shards
        self._owed.retain(alive)
        for device, wanted in list(self._wanted.items()):
            for (ref, name), message in list(wanted.items()):
                if message.reply_to not in alive:
                    self._unwatch(UnwatchTargets(ref, device, (name,)))

    def _actor(self, device: str) -> Address:
        address = self._actors.get(device)
        if address is None:
            address = self._actors[device] = self._shard.spawn(DeviceActor)
            self._device_of[address] = device
            self._shard.tell(address, DeviceBegin(device, self._desk))
        return address
