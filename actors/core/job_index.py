"""The unfinished jobs of the mirror, found by id, by their resource, and by the resources that they refer to.

Guarantees: the three always tell of the same jobs; what no job is about takes no room.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from actors.core.model import Ref
from actors.core.recorded_job import RecordedJob


class JobIndex:
    """All unfinished jobs."""

    def __init__(self) -> None:
        self._owner: dict[str, Ref] = {}
        self._of: dict[Ref, dict[str, RecordedJob]] = {}
        self._referring: dict[Ref, dict[str, RecordedJob]] = {}

    def put(self, job: RecordedJob) -> Ref:
        """Take over one job, in place of the one of that id; returns whose it is."""
        self.forget(job.id)
        self._of.setdefault(job.ref, {})[job.id] = job
        self._owner[job.id] = job.ref
        for ref in job.resources:
            self._referring.setdefault(ref, {})[job.id] = job
        return job.ref

    def forget(self, job_id: str) -> Ref | None:
        """It is finished; returns whose it was."""
        ref = self._owner.pop(job_id, None)
        if ref is None:
            return None
        jobs = self._of[ref]
        job = jobs.pop(job_id)
        if not jobs:
            del self._of[ref]
        for other in job.resources:
            referring = self._referring[other]
            del referring[job_id]
            if not referring:
                del self._referring[other]
        return ref

    def ids(self) -> Iterable[str]:
        """All that are known."""
        return self._owner.keys()

    def refs(self) -> Collection[Ref]:
        """The resources that have one."""
        return self._of.keys()

    def of(self, ref: Ref) -> tuple[RecordedJob, ...]:
        """Those of one resource."""
        return tuple(self._of.get(ref, {}).values())

    def referring(self, ref: Ref) -> tuple[RecordedJob, ...]:
        """Those of others whose parameters list it."""
        return tuple(job for job in self._referring.get(ref, {}).values() if job.ref != ref)

    def __contains__(self, job_id: object) -> bool:
        return job_id in self._owner
