"""Stacks and their resources as the engine keeps them, and their form on disk.

Guarantees: `to_json` and `from_json` are inverse but for the events, which are not kept. Times are seconds of
the engine's clock. What is written holds parameters in clear: whoever stores it must keep it private.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

from sim.heat.hot import FunctionError, Template
from sim.heat.parameters import Json, JsonObject, bind
from sim.heat.types import attribute, type_of

#: Events kept of one stack.
EVENTS = 60
FAR = float("inf")


class BrokenAttributeError(FunctionError):
    """An attribute that its resource cannot give: fails the stack, or becomes `output_error`."""


class Event(NamedTuple):
    """One line of `openstack stack event list`."""

    time: float
    resource: str
    type: str
    physical_id: str
    status: str
    reason: str


@dataclass(slots=True)
class Resource:
    """A resource of a stack. `ends`: when its present action is over; `fails`: why, if it will fail."""

    name: str
    type: str
    physical_id: str
    properties: JsonObject
    requires: tuple[str, ...]
    created: float
    updated: float
    action: str = "INIT"
    status: str = "COMPLETE"
    reason: str = ""
    begins: float = 0.0
    ends: float = 0.0
    fails: str = ""

    @property
    def exists(self) -> bool:
        """Whether it was made, and not (yet) removed."""
        gone = self.action == "INIT" or (self.action, self.status) == ("DELETE", "COMPLETE")
        return bool(self.physical_id) and not gone


@dataclass(slots=True)
class Record:
    """A stack. `generation` counts its actions: an end that belongs to an earlier one is void."""

    id: str
    tenant: str
    name: str
    template: Template
    given: dict[str, Json]
    bound: dict[str, Json]
    timeout_min: int | None
    disable_rollback: bool
    tags: tuple[str, ...]
    created: float
    updated: float | None = None
    deleted: float | None = None
    action: str = "CREATE"
    status: str = "IN_PROGRESS"
    reason: str = ""
    resources: dict[str, Resource] = field(default_factory=dict)
    generation: int = 0
    outcome: tuple[str, str] = ("COMPLETE", "")
    before: tuple[Template, dict[str, Json], dict[str, Resource]] | None = None
    events: list[Event] = field(default_factory=list)

    @property
    def stack_status(self) -> str:
        """`CREATE_IN_PROGRESS` and the like."""
        return f"{self.action}_{self.status}"

    def note(self, now: float, resource: Resource | None, status: str, reason: str) -> None:
        """Add an event; the oldest are forgotten."""
        if resource is None:
            self.events.append(Event(now, self.name, "OS::Heat::Stack", self.id, status, reason))
        else:
            self.events.append(Event(now, resource.name, resource.type, resource.physical_id, status, reason))
        del self.events[:-EVENTS]


class StackScope:
    """The values that functions of a stack's template see."""

    def __init__(self, record: Record, resources: dict[str, Resource]) -> None:
        self._record = record
        self.resources = resources

    def parameter(self, name: str) -> Json:
        """The bound value, or a pseudo parameter. Raises FunctionError."""
        bound = self._record.bound
        if name in bound:
            return bound[name]
        pseudo = {
            "OS::stack_id": self._record.id,
            "OS::stack_name": self._record.name,
            "OS::project_id": self._record.tenant,
        }
        if name in pseudo:
            return pseudo[name]
        raise FunctionError(f"The Parameter ({name}) was not provided.")

    def reference(self, resource: str) -> str:
        """The physical id; the resource's name as long as there is none."""
        found = self.resources.get(resource)
        return found.physical_id if found is not None and found.exists else resource

    def attribute(self, resource: str, name: str) -> Json:
        """The attribute's value; null of what never existed. Raises BrokenAttributeError."""
        found = self.resources.get(resource)
        if found is None or not found.exists:
            return None
        try:
            return attribute(
                type_of(found.type), name, found.physical_id, found.properties, self._record.tenant
            )
        except FunctionError as error:
            raise BrokenAttributeError(str(error)) from error


def to_json(record: Record) -> dict[str, Json]:
    """A stack as a JSON object."""
    return {
        "id": record.id,
        "tenant": record.tenant,
        "name": record.name,
        "template": record.template.document,
        "given": record.given,
        "timeout_min": record.timeout_min,
        "disable_rollback": record.disable_rollback,
        "tags": list(record.tags),
        "created": record.created,
        "updated": record.updated,
        "deleted": record.deleted,
        "action": record.action,
        "status": record.status,
        "reason": record.reason,
        "resources": [_resource_json(resource) for resource in record.resources.values()],
    }


def _resource_json(resource: Resource) -> dict[str, Json]:
    plain = asdict(resource)
    for moment in ("begins", "ends"):
        plain[moment] = None if plain[moment] == FAR else plain[moment]
    return plain


def from_json(value: JsonObject, template: Callable[[JsonObject], Template]) -> Record:
    """A stack from its JSON object; `template` reads (and shares) documents."""
    read = template(value["template"])
    record = Record(
        value["id"],
        value["tenant"],
        value["name"],
        read,
        dict(value["given"]),
        bind(read.parameters, value["given"]),
        value["timeout_min"],
        value["disable_rollback"],
        tuple(value["tags"]),
        value["created"],
        value["updated"],
        value["deleted"],
        value["action"],
        value["status"],
        value["reason"],
    )
    for plain in value["resources"]:
        moments = {moment: FAR if plain[moment] is None else plain[moment] for moment in ("begins", "ends")}
        resource = Resource(**{**plain, **moments, "requires": tuple(plain["requires"])})
        record.resources[resource.name] = resource
    return record
