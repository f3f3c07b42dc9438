"""The values that everything speaks of: a resource, its declaration, its jobs and its workflow.

Guarantees: every type here is immutable and compares by value. Nothing here reads a clock, does I/O or
knows how a value is stored (that is `core.keys`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

#: Anything that `json.loads` returns.
Json = Any
#: A decoded JSON object.
JsonObject = Mapping[str, Json]


class Handler(StrEnum):
    """Who executes a job (contract 2.3); also the key under which a type names its template (4)."""

    HEAT = "heat_worker"
    MONITORING = "monitoring_worker"


class Action(StrEnum):
    """What a job does (contract 2.3). DELETE is only the stop of monitoring inside an update."""

    CREATE = "create"
    MODIFY = "modify"
    DELETE = "delete"
    LOGICAL_DELETE = "logical_delete"


class OnFailure(StrEnum):
    """What a failed job means for its workflow (contract 10.27)."""

    FAIL = "fail"
    IGNORE = "ignore"


class Ref(NamedTuple):
    """One resource: its schema id (singular) and its id. Prints as `type:id`.

    A tuple, because nothing else is hashed and compared as often.
    """

    type: str
    id: str

    def __str__(self) -> str:
        return f"{self.type}:{self.id}"

    def to_json(self) -> dict[str, str]:
        """The `resources` entry of a job parameter (contract 3.4)."""
        return {"resource_type": self.type, "resource_id": self.id}


@dataclass(frozen=True, slots=True)
class Declared:
    """What `/config/<path>` says (contract 1.1): the body decoded, `revision` = etcd's mod_revision."""

    ref: Ref
    version: int
    body: JsonObject
    marked_for_deletion: bool = False
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Template:
    """One `/config/v2.0/heat_templates/<id>` document. `revision` identifies the text for caches; `watch`: it names
    types whose changes it wants to follow, which nobody does (contract 10.22)."""

    id: str
    handler: Handler
    parameter_mappings: JsonObject
    source: str
    revision: int = 0
    watch: bool = False


class ParamType(StrEnum):
    """How the value of a job parameter is to be read (contract 3.4)."""

    VALUE = "value"
    OUTPUT_KEY = "output_key"
    LIST = "list"


@dataclass(frozen=True, slots=True)
class Param:
    """One resolved parameter entry of a job (contract 3.4).

    `value` is plain JSON as it stands in the job: for OUTPUT_KEY the object
    `{"output_key", "resource_type", "resource_id"}`, for LIST an array of whole entries of that kind.
    """

    name: str
    type: ParamType
    value: Json
    resources: tuple[Ref, ...] = ()

    def to_json(self) -> dict[str, Json]:
        """The entry as it stands in `/jobs/all` (contract 3.4)."""
        return {
            "param": self.name,
            "type": self.type.value,
            "value": self.value,
            "resources": [ref.to_json() for ref in self.resources],
        }

    @staticmethod
    def from_json(entry: JsonObject) -> Param:
        """Inverse of `to_json`. Raises KeyError or ValueError for what is no entry."""
        refs = tuple(Ref(r["resource_type"], r["resource_id"]) for r in entry.get("resources", ()))
        return Param(entry["param"], ParamType(entry["type"]), entry["value"], refs)


@dataclass(frozen=True, slots=True)
class Job:
    """One step of a workflow, with all that its worker needs (contract 2.3)."""

    id: str
    action: Action
    handler: Handler
    ref: Ref
    version: int
    resource_input: JsonObject
    params: tuple[Param, ...] = ()
    dependency: tuple[str, ...] = ()
    is_first: bool = True
    is_last: bool = True
    on_failure: OnFailure = OnFailure.FAIL

    @property
    def name(self) -> str:
        """`job_name`: shared by all jobs of a workflow (contract 2.3)."""
        return f"{self.ref}:{self.version}"


@dataclass(frozen=True, slots=True)
class Workflow:
    """The ordered jobs that bring one resource to one version. `jobs` is never empty.

    `action` is what is done to the resource as a whole: CREATE, MODIFY or LOGICAL_DELETE.
    `external` are the job ids of other resources that the first job waits for (contract 2.5).
    """

    ref: Ref
    version: int
    action: Action
    jobs: tuple[Job, ...]
    external: tuple[str, ...] = ()
