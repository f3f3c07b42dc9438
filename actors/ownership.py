"""Membership and ownership of one controller: the part of the EtcdBridge that takes and gives virtual shards.

Guarantees: one lease per controller; its member key and all its shards hang on it, so they vanish together;
what is owned is owned in etcd, under a fence that ends with any change of hands; what another is to have is
drained before it is given (`handover`), and nothing is taken from others before our shards can act (`join`);
losing the lease, or a shard, is told to the shards at once; whatever etcd shows is compared with what we
believe, and etcd is right.
Does not guarantee that nobody acts after the loss: that is why every write carries the fence.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from actors.bridge_health import OWN
from actors.core.errors import ErrorClass, Failure, PortError
from actors.core.ownership import (
    CONTROLLERS,
    SHARDS,
    Claim,
    Claims,
    Moves,
    member_key,
    shard_key,
    shard_number,
)
from actors.handover import Drain
from actors.messages import Address, Owned, Rested, Tenure, Tick
from actors.ports import Delete, Entry, Guard, Session, Store, WriteSet
from actors.runtime.host import Timer

if TYPE_CHECKING:
    from actors.etcd_bridge import EtcdBridge

#: Changes below these prefixes are ours to hear of.
PREFIXES = (CONTROLLERS, SHARDS)
RETRY_S = 0.5
_CHUNK = 100
_LOST = Failure(ErrorClass.TRANSIENT, "OwnershipLost", "this controller does not own the resource any more")


@dataclass(frozen=True, slots=True)
class Moved:
    """What came of a round of moves: keys of ours as etcd has them, keys given and the revision at which each was,
    and keys that had to be read, as of the revision `read_at`."""

    taken: Mapping[str, Entry]
    given: Mapping[str, int]
    looked_up: Mapping[str, Entry | None]
    read_at: int


class Unable:
    """Our shards cannot act yet, and nothing is ours."""


class Holdings:
    """What one bridge owns. Works on the bridge's thread."""

    def __init__(self, bridge: EtcdBridge) -> None:
        self._bridge = bridge
        self._claims = Claims("")
        self.session: Session | None = None
        #: number → its key as we took it last
        self._owned: dict[int, Entry] = {}
        #: The same as others are told of it: never changed, but made anew (`_changed`).
        self._terms: Mapping[int, int] = {}
        self._newest = 0
        self._taken_at: Mapping[int, int] = {}
        self._listed = False
        self._moving = False
        self._told: Owned | None = None
        self._drain = Drain(bridge)
        self._timer: Timer | None = None
        #: All shards have had a mirror since the start; whether that is waited for.
        self._able = self._awaiting = False

    # ------------------------------------------------------------------------------------- questions

    def fence(self, number: int, term: int) -> Guard | None:
        """The guard for a write decided under `term`; None if that ownership has ended."""
        entry = self._owned.get(number)
        if entry is None or entry.create_revision != term:
            return None
        return Guard(entry.key, entry.mod_revision)

    @property
    def valid(self) -> bool:
        """Whether the lease can still be believed in."""
        return self.session is not None and self.session.valid()

    def owns(self, number: int) -> bool:
        """Whether that virtual shard is ours, as far as we know."""
        return number in self._owned

    def terms(self) -> Mapping[int, int]:
        """Owned virtual shards and their terms, once that is known."""
        return self._terms

    def tenure(self) -> Tenure:
        """What the HeatActors are to know: they ask a service that knows no fences. They begin nothing for what
        leaves, either: its requester may hear of that after they have said that nothing of it is under way."""
        left_s = self.session.left_s() if self.session is not None else 0.0
        terms = {n: term for n, term in self.terms().items() if n not in self._drain.leaving}
        return Tenure(terms, self._bridge.now() + left_s if left_s else 0.0)

    def told(self) -> Owned | None:
        """What the shards were told last; None before the first time."""
        return self._told

    # -------------------------------------------------------------------------------------- membership

    def join(self) -> None:
        """Become a member: a lease and our key on it. Others give to a member at once, so the first time that waits
        until our shards can act; unless our key is there: then this is a new process of one that owns already."""
        boot = self._bridge.boot
        self._claims.me = boot.owner
        able = self._able = self._able or self._bridge.feed.complete
        store, owner, ttl_s = self._bridge.store, boot.owner, boot.options.owner_ttl_s

        def work() -> tuple[Session, Mapping[str, Entry]] | Unable | None:
            if not able and not store.read([member_key(owner)])[1]:
                return Unable()
            session = store.session(ttl_s)
            try:
                if taken := session.take([member_key(owner)], owner):
                    return session, taken
            except PortError:
                _end_quietly(session)
                raise
            _end_quietly(session)
            return None

        self._bridge.submit(work, self._joined, "own")

    def mirrored(self) -> None:
        """All shards have a mirror."""
        self._able = True
        if self._awaiting:
            self._awaiting = False
            self.join()

    def _joined(self, outcome: tuple[Session, Mapping[str, Entry]] | Unable | BaseException | None) -> None:
        if isinstance(outcome, Unable):
            self._awaiting = True
            if self._able:  # by now
                self.mirrored()
            return
        if outcome is None or isinstance(outcome, BaseException):
            reason = "another controller has our name" if outcome is None else str(outcome)
            self._bridge.note("ownership", reason)
            self._bridge.after(RETRY_S, Tick("join"))
            return
        self.session, taken = outcome
        self._learned(taken)
        self._bridge.note("ownership", "")
        self.check()

    def check(self) -> None:
        """Now and then: is the lease alive, and is there something to take or to give?"""
        if self.session is None:
            return
        if not self.session.valid():
            self.end("the lease could not be kept alive")
            return
        if self._listed and self._claims.me not in self._claims.members:
            self._renew_member()  # the last attempt may have failed, and nobody tells of that
        self.balance()
        self._bridge.tell_heat(self.tenure())
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._bridge.after(self._bridge.boot.options.owner_ttl_s / 4, Tick("ownership"))

    def end(self, reason: str) -> None:
        """The lease has ended, and with it everything: stop writing, become a member anew."""
        if self.session is None:
            return
        self.session = None
        self._bridge.note("ownership", reason)
        self.lose(list(self._owned))
        self.join()

    # --------------------------------------------------------------------------------------- listening

    def listed(self, entries: Iterable[Entry], revision: int) -> None:
        """A full listing of members and holders."""
        self._claims.listed(map(_claim, entries), revision)
        self._listed = True
        self.balance()

    def changed(self, changes: Sequence[Entry | Delete], revision: int) -> None:
        """Changes of members and holders, in order: all that there were up to this revision."""
        if not changes:
            self._claims.shown(revision)
            return
        seen = [(one.key, None if isinstance(one, Delete) else _claim(one)) for one in changes]
        self._claims.changed(seen, revision)
        if self.session is not None and self._claims.me not in self._claims.members:
            self._renew_member()
        self.balance()

    def _renew_member(self) -> None:
        """Our member key is gone although the lease is not: somebody deleted it, or that is old news."""
        session, me = self.session, self._claims.me
        if session is None or not session.valid():
            return

        def done(outcome: Mapping[str, Entry] | BaseException) -> None:
            if not isinstance(outcome, BaseException) and session is self.session:
                self._learned(outcome)
                self.balance()

        self._bridge.submit(lambda: session.take([member_key(me)], me), done, "own")

    # ------------------------------------------------------------------------------------------ moving

    def balance(self) -> None:
        """Take and give what the members call for; verify what etcd seems to show otherwise."""
        session = self.session
        if self._moving or not self._listed or session is None or not session.valid():
            return
        moves = self._claims.moves(self._taken_at)
        due = self._drain.due([n for n in moves.give if n in self._owned])
        moves = replace(moves, give=tuple(n for n in moves.give if n in due or n not in self._owned))
        idle = moves == Moves((), (), ())
        if idle or (self._told is not None and self._told.round != self._drain.round):
            self._tell()
        if idle:
            return
        self._moving = True
        fences = {n: self._fence_to_give(n) for n in moves.give}
        self.lose(moves.give)
        store, me = self._bridge.store, self._claims.me
        self._bridge.submit(
            lambda: move(store, session, me, moves, fences),
            lambda outcome: self._moved(session, moves, outcome),
            "own",
        )

    def rested(self, message: Rested, sender: Address) -> None:
        """A shard or a HeatActor has nothing under way of what is to be given."""
        if self._drain.rested(message, sender):
            self.balance()

    def _fence_to_give(self, number: int) -> int:
        entry = self._owned.get(number)
        return entry.mod_revision if entry is not None else self._claims.holders[number].revision

    def _moved(self, session: Session, moves: Moves, outcome: Moved | BaseException) -> None:
        self._moving = False
        if session is not self.session:
            self.balance()
            return
        if isinstance(outcome, BaseException):
            self._bridge.log.warning("taking and giving virtual shards: %s", outcome)
            if isinstance(outcome, PortError) and outcome.failure.kind == "LeaseNotFound":
                self.end("etcd has ended our lease")
            else:
                self._bridge.trouble(outcome)
                self._bridge.after(RETRY_S, Tick("balance"))
            return
        self._bridge.health.permitted({OWN})
        for key, revision in outcome.given.items():
            self._claims.learned(key, None, revision)
        for key, found in outcome.looked_up.items():
            self._claims.learned(key, _claim(found) if found is not None else None, outcome.read_at)
        self.lose([n for n in moves.doubtful if not self._still_ours(n, outcome.looked_up)])
        self.took(outcome.taken)
        self.balance()

    def _still_ours(self, number: int, looked_up: Mapping[str, Entry | None]) -> bool:
        mine, found = self._owned.get(number), looked_up.get(shard_key(number))
        return mine is not None and found is not None and found.mod_revision == mine.mod_revision

    def took(self, entries: Mapping[str, Entry]) -> None:
        """These keys are ours, as etcd has them."""
        for key, entry in entries.items():
            number = shard_number(key)
            if number is not None:
                self._owned[number] = entry
        self._changed()
        self._learned(entries)
        if entries:
            self._bridge.commits.refence(entries)

    def _learned(self, taken: Mapping[str, Entry]) -> None:
        for key, entry in taken.items():
            self._claims.learned(key, _claim(entry), entry.mod_revision)

    def lose(self, numbers: Collection[int]) -> None:
        """These are not ours any more: stop everything about them."""
        lost = {number for number in numbers if self._owned.pop(number, None) is not None}
        if lost:
            self._changed()
            self._bridge.commits.refuse(lost, _LOST)
            self._tell()

    def _changed(self) -> None:
        self._terms = {number: entry.create_revision for number, entry in self._owned.items()}
        self._newest = max(self._newest, *self._terms.values(), 0)
        self._taken_at = {number: entry.mod_revision for number, entry in self._owned.items()}

    def _tell(self) -> None:
        owned = Owned(self.terms(), self._drain.leaving, self._drain.round, self._newest)
        if owned != self._told:
            self._told = owned
            self._bridge.tell_heat(self.tenure())
            self._bridge.tell_workers(owned)


def move(store: Store, session: Session, me: str, moves: Moves, fences: Mapping[int, int]) -> Moved:
    """Carry out a round of moves, on a worker thread. Raises PortError; repeating it is safe."""
    given: dict[str, int] = {}
    for start in range(0, len(moves.give), _CHUNK):
        chunk = [Guard(shard_key(n), fences[n]) for n in moves.give[start : start + _CHUNK]]
        result = store.commit([WriteSet((Delete(guard.key),), (guard,)) for guard in chunk])
        gone = (guard.key for guard, ok in zip(chunk, result.accepted, strict=True) if ok)
        given |= dict.fromkeys(gone, result.revision)
    taken = session.take([shard_key(n) for n in moves.take], me) if moves.take else {}
    settled = {*taken, *given}
    unclear = [key for key in map(shard_key, (*moves.take, *moves.give)) if key not in settled]
    unclear += map(shard_key, moves.doubtful)
    read_at, found = store.read(unclear) if unclear else (0, {})
    return Moved(taken, given, {key: found.get(key) for key in unclear}, read_at)


def _end_quietly(session: Session) -> None:
    try:
        session.end()
    except PortError:
        return  # it runs out by itself


def _claim(entry: Entry) -> Claim:
    return Claim(entry.key, entry.value.decode("utf-8", "replace"), entry.mod_revision)
