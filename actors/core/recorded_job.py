"""An unfinished job as the mirror keeps it: just enough to depend on it."""

from __future__ import annotations

from dataclasses import dataclass

from actors.core import keys
from actors.core.json_text import parse
from actors.core.keys import BadValue
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
    try:
        _, body, *_ = parse(value)
        refs = {(r["resource_type"], r["resource_id"]) for p in body["params"] for r in p["resources"]}
        ref = Ref(body["resource_type"], body["resource_id"])
        return RecordedJob(
            id=key[len(keys.JOBS) :],
            action=Action(body["action"]),
            handler=Handler(body["handler"]),
            ref=ref,
            version=int(body["version"]),
            resources=frozenset(Ref(*r) for r in refs) - {ref},
            revision=revision,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise BadValue(f"{key}: not a job ({type(error).__name__}: {error})") from error
