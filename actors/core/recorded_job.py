"""An unfinished job as the mirror keeps it: just enough to depend on it.

Guarantees: what is read here can be built and run as a whole job too, since both check all of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from actors.core import keys
from actors.core.job_body import job_body
from actors.core.members import BadValue, quoted
from actors.core.model import Action, Handler, Ref
from actors.core.plan import LiveJob


@dataclass(frozen=True, slots=True)
class RecordedJob(LiveJob):
    """An unfinished job as it stands in etcd: `resources` are those its parameters list."""

    version: int
    resources: frozenset[Ref]
    revision: int


def read_job(key: str, value: bytes, revision: int) -> RecordedJob:
    """What others need of a `/jobs/all` value, read without building the whole job. Raises BadValue."""
    body = job_body(key, value)
    name = key[len(keys.JOBS) :]
    if body["id"] != name:
        raise BadValue(f"{key}: not a job (its id is another one: {quoted(body['id'])})")
    refs = {(r["resource_type"], r["resource_id"]) for p in body["params"] for r in p.get("resources", ())}
    ref = Ref(body["resource_type"], body["resource_id"])
    return RecordedJob(
        id=name,
        action=Action(body["action"]),
        handler=Handler(body["handler"]),
        ref=ref,
        version=body["version"],
        resources=frozenset(Ref(*r) for r in refs) - {ref},
        revision=revision,
    )
