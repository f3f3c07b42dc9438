"""An unfinished job as the mirror keeps it: just enough to depend on it.

Guarantees: what is read here can be built and run as a whole job too, since both check all of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from actors.core import keys
from actors.core.job_body import job_body
from actors.core.members import BadValue, quoted
from actors.core.model import Action, Handler, JsonObject, ParamType, Ref
from actors.core.plan import LiveJob

#: Actions that are carried out with outputs of other stacks.
_ASKING: Final = frozenset({Action.CREATE.value, Action.MODIFY.value})


@dataclass(frozen=True, slots=True)
class RecordedJob(LiveJob):
    """An unfinished job as it stands in etcd: `resources` are those its parameters list, `needs` those whose outputs it
    asks for, `dependency` the jobs that come before it."""

    version: int
    resources: frozenset[Ref]
    needs: frozenset[Ref]
    dependency: tuple[str, ...]
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
        needs=frozenset(_asked(body["params"])) - {ref} if body["action"] in _ASKING else frozenset(),
        dependency=tuple(body["dependency"]),
        revision=revision,
    )


def _asked(params: Iterable[JsonObject]) -> Iterator[Ref]:
    for param in params:
        value = param["value"]
        if param["type"] == ParamType.OUTPUT_KEY:
            yield Ref(value["resource_type"], value["resource_id"])
        elif param["type"] == ParamType.LIST:
            yield from _asked(value)
