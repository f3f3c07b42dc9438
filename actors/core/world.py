"""What a shard knows of etcd: declarations, templates, live jobs, outcomes, registered targets.

Guarantees: fed only by snapshots and changes of the store, in order, so it is some past state of etcd and never a
wish; bad values are kept as problems that name the key and stop nothing else. Does not decide anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from sys import intern

from actors.core import keys
from actors.core.drift import Recorded
from actors.core.drift import decode as decode_drift
from actors.core.errors import shortened
from actors.core.families import Family
from actors.core.job_index import JobIndex
from actors.core.keys import BadValue, ResourceType, TypeTable
from actors.core.limiting import CpuLimit, unlimited
from actors.core.members import QUOTED_MAX, quoted
from actors.core.model import Declared, JsonObject, Ref
from actors.core.monitors import Target, decode_targets
from actors.core.outcome import Outcome
from actors.core.packing import Packing
from actors.core.pending import Pending
from actors.core.plan import CompiledTemplate
from actors.core.recorded_job import RecordedJob, read_job
from actors.core.ref_keys import RefKeys
from actors.core.referrals import Referrals
from actors.core.template_book import TemplateBook

#: The root of keys, and what is done with a put and with a delete of one.
_Feed = tuple[str, Callable[[str, bytes, int, int], Ref | None], Callable[[str], Ref | None]]
#: How many decoded declarations are kept: those in work, and what they refer to. The others are packed.
DECODED_MAX = 1024


@dataclass(frozen=True, slots=True, eq=False)
class _Config:
    """A readable `/config` value; `packed` against the first one of its type."""

    packed: bytes
    ref: Ref
    version: int
    marked: bool
    revision: int
    created: int


class World:
    """The mirror. All lookups are by `Ref`; all mutation goes through `put` and `delete`."""

    def __init__(self, types: Iterable[ResourceType], limited: CpuLimit = unlimited) -> None:
        self.types, self.limited = TypeTable(tuple(types)), limited
        #: type → how many plans of it took too long since the templates changed
        self.late = Counter[str]()
        self.revision = 0
        #: key → what is wrong with its value
        self.problems: dict[str, str] = {}
        #: what is no problem but worth a line in the log, once: whoever tells it takes it out
        self.remarks: list[str] = []
        self._config: dict[Ref, _Config] = {}
        self._packing, self._decoded = Packing(), lru_cache(DECODED_MAX)(self._decode)
        self._templates = TemplateBook()
        self._jobs = JobIndex()
        self._outcomes: dict[Ref, Outcome] = {}
        self._monitoring = Family(self.types, keys.MONITORING, self._ref, bytes)
        what = "a list of targets"
        self._targets = Family(self.types, keys.TARGETS, self._ref, decode_targets, what, dated=True)
        self._drifts = Family(self.types, keys.DRIFT, self._ref, decode_drift, "a finding")
        self._accepted = RefKeys(self.types, keys.ACCEPTED, self._ref)
        self._requested = RefKeys(self.types, keys.RECONCILE, self._ref)
        self.pauses: set[str] = set()  # scopes, as `paused` names them
        #: Who refers to whom, as `ordering` tells; those that are marked for deletion or pending are followed.
        self.referrals = Referrals()
        #: Declared, to be planned, not marked: whose jobs are still to come.
        self.pending = Pending()
        self._families: tuple[_Feed, ...] = (
            (keys.TEMPLATES, self._put_template, self._delete_template),
            (keys.CONFIG, self._put_config, self._delete_config),
            (keys.JOBS, self._put_job, self._delete_job),
            (keys.STATE, self._put_state, self._delete_state),
            (keys.MONITORING, self._monitoring.put, self._monitoring.delete),
            (keys.TARGETS, self._targets.put, self._targets.delete),
            (keys.DRIFT, self._drifts.put, self._drifts.delete),
            (keys.ACCEPTED, self._accepted.put, self._accepted.delete),
            (keys.RECONCILE, self._requested.put, self._requested.delete),
            (keys.PAUSE, self._put_pause, self._delete_pause),
        )

    # -------------------------------------------------------------------------------------------- feeding

    def put(self, key: str, value: bytes, mod_revision: int, create_revision: int = 0) -> Ref | None:
        """Take over one value; returns the resource it concerns."""
        if not keys.is_text(key):
            self.problems[key] = f"{keys.shown(key)}: ignored, the key is not UTF-8"
            return None
        for root, put, _ in self._families:
            if key.startswith(root):
                self.problems.pop(key, None)
                try:
                    return put(key, value, mod_revision, create_revision)
                except BadValue as error:
                    self.problems[key] = str(error)
                    return None
        return None

    def delete(self, key: str) -> Ref | None:
        """Forget one key; returns the resource it concerned."""
        self.problems.pop(key, None)
        for root, _, delete in self._families:
            if key.startswith(root):
                return delete(key) if keys.is_text(key) else None
        return None

    def keys_known(self) -> frozenset[str]:
        """Every key that is mirrored: what a resync compares with."""
        return frozenset(
            [keys.CONFIG + self.types.path(r) for r in self._config]
            + [keys.TEMPLATES + t for t in self._templates.ids()]
            + [keys.JOBS + job_id for job_id in self._jobs.ids()]
            + [keys.STATE + self.types.path(r) for r in self._outcomes]
            + self._monitoring.keys()
            + self._targets.keys()
            + self._drifts.keys()
            + self._accepted.keys()
            + self._requested.keys()
            + [keys.PAUSE + scope for scope in self.pauses]
            + list(self.problems)
        )

    def _put_template(self, key: str, value: bytes, revision: int, _created: int) -> None:
        name = key[len(keys.TEMPLATES) :]
        known = self._templates.get(name)
        self.referrals.changed(name)
        compiled = self._templates.put(key, value, revision)
        if compiled.error:
            self.problems[key] = f"{key}: {shortened(compiled.error)}"
        # not where it is only listed once more
        if compiled.template.watch and (known is None or known.template.revision != revision):
            self.remarks.append(f"{key}: member 'watch' is ignored, only declarations are followed")
        self.late.clear()

    def _delete_template(self, key: str) -> None:
        self._templates.drop(key[len(keys.TEMPLATES) :])
        self.referrals.changed(key[len(keys.TEMPLATES) :])

    def _put_config(self, key: str, value: bytes, revision: int, created: int) -> Ref | None:
        ref = self.types.ref(key, keys.CONFIG)
        if ref is None:
            path = shortened(key[len(keys.CONFIG) :].rpartition("/")[0], QUOTED_MAX)
            raise BadValue(f"{key}: ignored, no resource type has the path '{path}'")
        try:
            declared = keys.decode_declared(key, value, ref, revision)
        except BadValue as error:
            # a broken value does not undo what was declared before (whose writes are guarded by what stands there
            # now); it is shown until it is mended
            self.problems[key] = str(error)
            if (known := self._config.get(ref)) is not None:
                self._config[ref] = replace(known, revision=revision)
                self.referrals.changed(ref)
            return self._expect(ref)
        packed = self._packing.pack(ref.type, value)
        # one object for what is the same: etcd tells both numbers, and they mostly are
        created = revision if created in (0, revision) else created
        marked = declared.marked_for_deletion
        self._config[ref] = _Config(packed, ref, declared.version, marked, revision, created)
        self.referrals.changed(ref)
        return self._expect(ref)

    def _expect(self, ref: Ref | None) -> Ref | None:
        """Tell whether it is pending."""
        if ref is None:
            return None
        config = self._config.get(ref)
        done = config is None or config.marked or self.is_final(ref) or ref in self._jobs.refs()
        self.pending.note(ref, None if done or config is None else config.revision)
        self.referrals.follow(ref, followed=ref in self.pending or self.marked(ref))
        return ref

    def _decode(self, config: _Config) -> Declared:
        raw = self._packing.unpack(config.ref.type, config.packed)
        return keys.decode_declared(
            keys.CONFIG + self.types.path(config.ref), raw, config.ref, config.revision
        )

    def _delete_config(self, key: str) -> Ref | None:
        ref = self.types.ref(key, keys.CONFIG)
        if ref is not None:
            self._config.pop(ref, None)
            self.referrals.changed(ref)
        return self._expect(ref)

    def _put_job(self, key: str, value: bytes, revision: int, _created: int) -> Ref | None:
        job = read_job(key, value, revision)
        if not self.types.names(job.ref):  # others may wait for it all the same
            self.problems[key] = f"{key}: nobody runs it, {quoted(str(job.ref))} has no known type"
        return self._expect(self._jobs.put(job))

    def _delete_job(self, key: str) -> Ref | None:
        return self._expect(self._jobs.forget(key[len(keys.JOBS) :]))

    def _put_state(self, key: str, value: bytes, revision: int, _created: int) -> Ref | None:
        ref = self._ref(key, keys.STATE)
        if ref is not None:
            version, error, worker_state = keys.decode_state(key, value)
            self._outcomes[ref] = Outcome(version, error, intern(worker_state), revision)
        return self._expect(ref)

    def _delete_state(self, key: str) -> Ref | None:
        ref = self.types.ref(key, keys.STATE)
        if ref is not None:
            self._outcomes.pop(ref, None)
        return self._expect(ref)

    def _ref(self, key: str, root: str) -> Ref | None:
        """The resource of a key: the very object under which it is declared, so that each is held once."""
        ref = self.types.ref(key, root)
        config = self._config.get(ref) if ref is not None else None
        return config.ref if config is not None else ref

    def _put_pause(self, key: str, _value: bytes, _revision: int, _created: int) -> None:
        self.pauses.add(key[len(keys.PAUSE) :])

    def _delete_pause(self, key: str) -> None:
        self.pauses.discard(key[len(keys.PAUSE) :])

    # ------------------------------------------------------------------------------------------- reading

    def refs(self) -> Iterable[Ref]:
        """Every declared resource."""
        return self._config.keys()

    def leftovers(self) -> Iterable[Ref]:
        """Resources that are not declared any more, but of which something is recorded."""
        recorded = {*self._jobs.refs(), *self._accepted.refs, *self._outcomes, *self._requested.refs}
        return sorted(filter(self.vanished, recorded))

    def vanished(self, ref: Ref) -> bool:
        """Whether no declaration stands in etcd of what can have one: what cannot be read has not vanished."""
        absent = ref not in self._config and self.types.names(ref)
        return absent and keys.CONFIG + self.types.path(ref) not in self.problems

    def requested(self, ref: Ref) -> bool:
        """Whether an operator asked that it be looked at again."""
        return ref in self._requested.refs

    def marked(self, ref: Ref) -> bool:
        """Whether it is declared, and marked for deletion."""
        config = self._config.get(ref)
        return config is not None and config.marked

    def declaration(self, ref: Ref) -> Declared | None:
        """The newest readable declaration."""
        config = self._config.get(ref)
        return self._decoded(config) if config is not None else None

    def stamp(self, ref: Ref) -> object:
        """Something that is another one after every write of the declaration; None if there is none."""
        return self._config.get(ref)

    def version(self, ref: Ref) -> int:
        """The version of the newest readable declaration; 0 if there is none. Decodes nothing."""
        config = self._config.get(ref)
        return config.version if config is not None else 0

    def created(self, ref: Ref) -> int:
        """The revision at which it was first declared; 0 if it is not."""
        return self._config[ref].created if ref in self._config else 0

    def body(self, ref: Ref) -> JsonObject | None:
        """The newest readable body."""
        return declared.body if (declared := self.declaration(ref)) is not None else None

    def template(self, template_id: str) -> CompiledTemplate | None:
        """The newest template of that id."""
        return self._templates.get(template_id)

    @property
    def monitors_by_job(self) -> bool:
        """Whether this deployment has monitoring templates of its own (generation G1, contract 0.2)."""
        return self._templates.monitoring

    def outcome(self, ref: Ref) -> Outcome | None:
        """What was realised last."""
        return self._outcomes.get(ref)

    def is_final(self, ref: Ref) -> bool:
        """Whether it is declared, and the outcome is that of the declared version."""
        config, outcome = self._config.get(ref), self._outcomes.get(ref)
        if config is None or outcome is None:
            return False
        return outcome.is_final(config.version, marked=self.marked(ref))

    def monitoring(self, ref: Ref) -> bytes | None:
        """The raw `/monitoring` value."""
        return self._monitoring.values.get(ref)

    def targets(self, ref: Ref) -> tuple[int, tuple[Target, ...]] | None:
        """(version, targets) as registered; None if nothing is to be watched (now: see `transactions`, T3)."""
        found = self._targets.values.get(ref)
        return found if found is not None and found[1] else None

    def targets_revision(self, ref: Ref) -> int:
        """When they were registered; 0 if they are not."""
        return self._targets.revisions.get(ref, 0)

    def targeted(self) -> Iterable[Ref]:
        """Every resource with registered targets."""
        return self._targets.values.keys()

    def drift(self, ref: Ref) -> Recorded | None:
        """In what its stack was found to differ from what was built, if that has not been mended since."""
        return self._drifts.values.get(ref)

    def drifted(self) -> Mapping[Ref, Recorded]:
        """All that is recorded of that."""
        return self._drifts.values

    def jobs_of(self, ref: Ref) -> tuple[RecordedJob, ...]:
        """Its unfinished jobs."""
        return self._jobs.of(ref)

    def jobs_referring(self, ref: Ref) -> tuple[RecordedJob, ...]:
        """Unfinished jobs of others whose parameters list it."""
        return self._jobs.referring(ref)

    def live(self, job_id: str) -> bool:
        """Whether that job is recorded and unfinished."""
        return job_id in self._jobs

    def paused(self, ref: Ref) -> str:
        """The scope in which an operator has paused the resource: `all`, `type/…`, `tenant/…`, `resource/…`; or ""."""
        if not self.pauses or ref.type not in self.types:
            return ""
        tenant = (self.body(ref) or {}).get("tenant_id", "")
        scopes = ("all", f"type/{ref.type}", f"tenant/{tenant}", f"resource/{self.types.path(ref)}")
        return next((scope for scope in scopes if scope in self.pauses), "")

    def needs_work(self, ref: Ref) -> bool:
        """Whether its declared version has no outcome yet, or something of it is left over."""
        if ref not in self._config:
            # an outcome may be all there is: of a deletion without jobs, of a failure before the plan
            known = (self._jobs.refs(), self._accepted.refs, self._outcomes, self._requested.refs)
            return any(ref in refs for refs in known) and self.vanished(ref)
        return not self.is_final(ref) or ref in self._jobs.refs() or ref in self._requested.refs
