"""Which controller owns what: virtual shards, rendezvous hashing, and what to take and to give.

Guarantees: every controller that sees the same living members computes the same owners; when a member joins or
leaves, only what it gains or owned moves. The place of a resource is the same on every machine and in every
version. Nothing here decides whether a write is allowed: that does the fence in etcd.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from zlib import crc32

from actors.core.job_ids import small_number

VSHARDS = 256
#: `<prefix><id>`: a living controller; vanishes with its lease.
CONTROLLERS = "/gatewright/controllers/"
#: `<prefix><number>`: a virtual shard; the value is the id of its owner, on the owner's lease.
SHARDS = "/gatewright/shards/"


def vshard(name: str) -> int:
    """The virtual shard of a resource, by the text of its `Ref`."""
    return crc32(name.encode()) % VSHARDS


def member_key(member: str) -> str:
    """The key that says that a controller lives."""
    return CONTROLLERS + member


def shard_key(number: int) -> str:
    """The key that a virtual shard is owned by."""
    return f"{SHARDS}{number}"


def shard_number(key: str) -> int | None:
    """Inverse of `shard_key`; None for anything else."""
    number = small_number(key[len(SHARDS) :]) if key.startswith(SHARDS) else None
    return number if number is not None and number < VSHARDS and key == shard_key(number) else None


def _weight(member: str, number: int) -> bytes:
    return blake2b(f"{number}/{member}".encode("utf-8", "surrogateescape"), digest_size=8).digest()


def assign(members: Collection[str]) -> tuple[str, ...]:
    """The member to which each virtual shard belongs (rendezvous hashing). Empty if there is none."""
    if not members:
        return ()
    ordered = sorted(members)
    return tuple(max(ordered, key=lambda member: _weight(member, number)) for number in range(VSHARDS))


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a virtual shard, and the revision at which it was taken last."""

    owner: str
    revision: int


@dataclass(frozen=True, slots=True)
class Claim:
    """A key of a member or of a virtual shard, whose it is, and the revision at which it was written last."""

    key: str
    owner: str
    revision: int


@dataclass(frozen=True, slots=True)
class Moves:
    """What to do next. `doubtful`: owned as far as we know, but etcd showed something else: read them."""

    take: tuple[int, ...]
    give: tuple[int, ...]
    doubtful: tuple[int, ...]


class Claims:
    """What etcd shows of members and holders: a listing, then changes in order, and what we learn by asking.

    Guarantees: never goes back. An answer may reach us after the watch has shown what happened since, and the watch
    after an answer that was already further: each key is as the later of both had it.
    """

    def __init__(self, me: str) -> None:
        self.me = me
        self.members: set[str] = set()
        self.holders: dict[int, Holder] = {}
        self._assigned: tuple[str, ...] = ()
        self._assigned_to: frozenset[str] = frozenset()
        self._mine: frozenset[int] = frozenset()
        self._shown = 0  # everything up to this revision was listed, or shown by the watch
        #: key → what an answer said of it as of a later revision than that
        self._learned: dict[str, tuple[Claim | None, int]] = {}
        self._changes = 0
        self._known: tuple[int, Mapping[int, int], frozenset[str], Moves] | None = None

    def listed(self, entries: Iterable[Claim], revision: int) -> None:
        """A full listing as of `revision`: what is not in it is not there."""
        if revision < self._shown:  # another store, restored or wiped: what was learned is of the one before
            self._learned = {}
        self.members.clear()
        self.holders.clear()
        for claim in entries:
            self._put(claim)
        self.shown(revision)
        for key, (known, _) in self._learned.items():
            self._set(key, known)

    def changed(self, changes: Iterable[tuple[str, Claim | None]], revision: int) -> None:
        """Keys as the watch shows them, in order; None: it vanished. `revision`: of the last change of the batch."""
        for key, claim in changes:
            if self._learned.get(key, (None, 0))[1] <= revision:
                self._set(key, claim)
        self.shown(revision)

    def shown(self, revision: int) -> None:
        """The watch has shown everything up to this revision."""
        self._shown = revision
        if self._learned:
            self._learned = {key: known for key, known in self._learned.items() if known[1] > revision}

    def learned(self, key: str, claim: Claim | None, revision: int) -> None:
        """An answer to a question, or to a write, of ours: the key as of `revision`; None: it is not there."""
        if revision > max(self._shown, self._learned.get(key, (None, 0))[1]):
            self._learned[key] = (claim, revision)
            self._set(key, claim)

    def _set(self, key: str, claim: Claim | None) -> None:
        if claim is not None:
            self._put(claim)
            return
        self._changes += 1
        number = shard_number(key)
        if number is not None:
            self.holders.pop(number, None)
        elif key.startswith(CONTROLLERS):
            self.members.discard(key[len(CONTROLLERS) :])

    def _put(self, claim: Claim) -> None:
        """Keys of others are ignored, and what is no member: a controller writes its own id under its key, and what
        somebody else wrote there would be given shards that it never takes."""
        self._changes += 1
        number = shard_number(claim.key)
        if number is not None:
            self.holders[number] = Holder(claim.owner, claim.revision)
        elif claim.key.startswith(CONTROLLERS):
            member = claim.key[len(CONTROLLERS) :]
            self.members.discard(member)
            if member and member == claim.owner:
                self.members.add(member)

    def target(self, number: int) -> str:
        """To whom a virtual shard belongs by the present members; "" if there are none."""
        self._assign()
        return self._assigned[number] if self._assigned else ""

    def _assign(self) -> None:
        if self._assigned_to != self.members:
            self._assigned_to = frozenset(self.members)
            self._assigned = assign(self._assigned_to)
            self._mine = frozenset(n for n, member in enumerate(self._assigned) if member == self.me)

    def moves(self, owned: Mapping[int, int]) -> Moves:
        """What to take, to give and to verify. `owned`: number → revision at which we took it; not changed afterwards.

        Nothing while we are not among the members ourselves: then we do not know enough to give anything.
        """
        known = self._known
        if known is not None and known[:2] == (self._changes, owned) and known[2] == frozenset(self.members):
            return known[3]
        moves = self._moves(owned)
        self._known = (self._changes, owned, frozenset(self.members), moves)
        return moves

    def _moves(self, owned: Mapping[int, int]) -> Moves:
        held = {number: holder.revision for number, holder in self.holders.items() if holder.owner == self.me}
        doubtful = () if held == owned else tuple(n for n in owned if held.get(n) != owned[n])
        if self.me not in self.members:
            return Moves((), (), doubtful)
        self._assign()
        ours = owned.keys() | held.keys()
        free = self._mine - owned.keys()
        take = sorted(n for n in free if n in held or n not in self.holders)
        return Moves(tuple(take), tuple(sorted(ours - self._mine)), doubtful)
