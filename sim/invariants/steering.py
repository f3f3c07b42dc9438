"""Promises to the operator who steers: what is paused stands, and what is asked for is done."""

from __future__ import annotations

from collections.abc import Sequence

from actors.core import keys
from actors.core.outcome import DELETE_COMPLETED
from sim.invariants.base import Invariant
from sim.truth import Write, Writer


class Paused(Invariant):
    """Of what has been paused for a while, in calm weather, no job is planned."""

    #: How long everybody may take to hear of it once all is well.
    HEARD_S = 60.0

    def revised(self, writes: Sequence[Write], writer: Writer | None) -> None:
        """Each new job."""
        calm_since = self.world.calm_since
        if calm_since is None:
            return
        for write in writes:
            if write.root != keys.JOBS or write.deleted or write.old is not None or write.ref is None:
                continue
            self.checks += 1
            since = self.world.api.operator.paused_since(write.ref)
            if since is not None and self.world.host.now - max(since, calm_since) > self.HEARD_S:
                self.fail(f"{write.key} is planned, and it has been paused for a while", write.ref)


class Requested(Invariant):
    """What an operator asked for goes only with what it led to: jobs, an outcome, or the end of a resource that is not
    declared any more."""

    def revised(self, writes: Sequence[Write], writer: Writer | None) -> None:
        """Each request that ends."""
        for write in writes:
            if write.root != keys.RECONCILE or not write.deleted or write.old is None:
                continue
            self.checks += 1
            same = [one for one in writes if one.ref == write.ref]
            planned = any(one.root == keys.JOBS and not one.deleted for one in same)
            # what is the same once more is not written; of what was deleted there is no history either
            state = self.world.truth.state(write.ref) if write.ref is not None else None
            deleted = state is not None and state["state"]["worker_state"] == DELETE_COMPLETED
            ended = any(one.root in (keys.HISTORY, keys.STATE, keys.ACCEPTED) for one in same)
            vanished = (
                write.ref is not None
                and self.world.truth.values.get(keys.CONFIG + self.world.path(write.ref)) is None
            )
            if not (planned or ended or vanished or deleted):
                self.fail("a request is gone, and nothing came of it", write.ref)
