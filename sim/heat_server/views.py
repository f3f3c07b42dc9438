"""Stacks, resources, events and outputs as the JSON members that Heat 27 shows."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from sim.heat import outputs
from sim.heat.hot import Template
from sim.heat.parameters import Json, shown
from sim.heat.records import Event, Record, Resource
from sim.heat.types import attribute, type_of

_LIST_MEMBERS = (
    "id", "links", "stack_name", "description", "stack_status", "stack_status_reason", "creation_time",
    "updated_time", "deletion_time", "stack_owner", "parent", "stack_user_project_id", "tags",
)  # fmt: skip
_OWNER = "admin"


@dataclass(frozen=True, slots=True)
class Links:
    """Addresses below `http://host:port/v1/<tenant>`."""

    base: str

    def stack(self, record: Record) -> str:
        """The full address of a stack."""
        return f"{self.base}/stacks/{record.name}/{record.id}"

    def resource(self, record: Record, name: str) -> list[dict[str, str]]:
        """The links of a resource."""
        stack = self.stack(record)
        return [{"href": f"{stack}/resources/{name}", "rel": "self"}, {"href": stack, "rel": "stack"}]


def moment(seconds: float | None) -> str | None:
    """A time as Heat writes it."""
    return None if seconds is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def listed(record: Record, links: Links) -> dict[str, Json]:
    """A stack in a list."""
    whole = _common(record, links)
    whole["description"] = record.template.document.get("description") or ""
    whole["tags"] = list(record.tags) or None
    return {member: whole[member] for member in _LIST_MEMBERS}


def stack(record: Record, links: Links, *, with_outputs: bool) -> dict[str, Json]:
    """A stack by itself."""
    whole = _common(record, links)
    whole |= {
        "notification_topics": [],
        "parameters": {
            "OS::stack_id": record.id,
            "OS::project_id": record.tenant,
            "OS::stack_name": record.name,
            **shown(record.template.parameters, record.bound),
        },
        "description": record.template.description,
        "template_description": record.template.description,
        "capabilities": [],
        "disable_rollback": record.disable_rollback,
        "timeout_mins": record.timeout_min,
    }
    if with_outputs and record.deleted is None:
        whole["outputs"] = outputs.resolve(record)
    return whole


def preview(record: Record, resources: Mapping[str, Resource], links: Links) -> dict[str, Json]:
    """What a create would make: a stack without a state, with `resources` as planned."""
    shown = stack(record, links, with_outputs=True) | {"id": "None"}
    shown["resources"] = [_previewed(record, one, resources) for one in resources.values()]
    return {name: value for name, value in shown.items() if not name.startswith("stack_status")}


def _previewed(record: Record, one: Resource, resources: Mapping[str, Resource]) -> dict[str, Json]:
    where = {"tenant": record.tenant, "stack_name": record.name, "stack_id": "None"}
    kind = type_of(one.type)
    return {
        "resource_name": one.name,
        "resource_type": one.type,
        "resource_action": "INIT",
        "resource_status": "COMPLETE",
        "resource_status_reason": "",
        "resource_identity": {**where, "path": f"/resources/{one.name}"},
        "stack_identity": {**where, "path": ""},
        "stack_name": record.name,
        "physical_resource_id": "",
        "creation_time": None,
        "updated_time": None,
        "required_by": [other.name for other in resources.values() if one.name in other.requires],
        "description": "",
        "metadata": {},
        "attributes": dict.fromkeys(sorted(kind.attributes or ())),
        "properties": {name: one.properties.get(name) for name in sorted(kind.properties or one.properties)},
    }


def _common(record: Record, links: Links) -> dict[str, Json]:
    return {
        "id": record.id,
        "links": [{"href": links.stack(record), "rel": "self"}],
        "stack_name": record.name,
        "stack_status": record.stack_status,
        "stack_status_reason": record.reason,
        "creation_time": moment(record.created),
        "updated_time": moment(record.updated),
        "deletion_time": moment(record.deleted),
        "stack_owner": _OWNER,
        "parent": None,
        "stack_user_project_id": record.tenant,
        "tags": list(record.tags),
    }


def resource(record: Record, one: Resource, links: Links, now: float, *, whole: bool) -> dict[str, Json]:
    """A resource; while its stack's action goes on, in the state it has got to."""
    action, status = one.action, one.status
    if status == "IN_PROGRESS" and now < one.begins:
        action, status = "INIT", "COMPLETE"
    elif status == "IN_PROGRESS" and now >= one.ends:
        status = "FAILED" if one.fails else "COMPLETE"
    plain: dict[str, Json] = {
        "resource_name": one.name,
        "logical_resource_id": one.name,
        "physical_resource_id": one.physical_id,
        "resource_type": one.type,
        "resource_status": f"{action}_{status}",
        "resource_status_reason": one.reason,
        "creation_time": moment(one.created),
        "updated_time": moment(one.updated),
        "links": links.resource(record, one.name),
        "required_by": [other.name for other in record.resources.values() if one.name in other.requires],
    }
    if whole:
        plain |= {"description": "", "attributes": _attributes(record, one)}
    return plain


def _attributes(record: Record, one: Resource) -> dict[str, Json]:
    kind = type_of(one.type)
    broken = kind.broken or {}
    return {
        name: attribute(kind, name, one.physical_id, one.properties, record.tenant)
        for name in sorted(kind.attributes or ())
        if name not in broken
    }


def event(record: Record, number: int, one: Event, links: Links) -> dict[str, Json]:
    """An event; its id follows from its place, so that it stays."""
    resource_links = links.resource(record, one.resource)
    event_id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{record.id}/{number}/{one.time}"))
    itself = {"href": f"{resource_links[0]['href']}/events/{event_id}", "rel": "self"}
    return {
        "id": event_id,
        "links": [itself, {"href": resource_links[0]["href"], "rel": "resource"}, resource_links[1]],
        "event_time": moment(one.time),
        "logical_resource_id": one.resource,
        "resource_name": one.resource,
        "physical_resource_id": one.physical_id,
        "resource_status": one.status,
        "resource_status_reason": one.reason,
    }


def environment(record: Record) -> dict[str, Json]:
    """What was given at the last create or update; hidden parameters as stars."""
    declared = record.template.parameters
    given = {name: "******" if declared[name].hidden else value for name, value in record.given.items()}
    return {
        "resource_registry": {"resources": {}},
        "parameters": given,
        "parameter_defaults": {},
        "event_sinks": [],
        "encrypted_param_names": [],
    }


def validated(template: Template) -> dict[str, Json]:
    """The answer to `template validate`."""
    parameters = {
        name: {
            "Type": "".join(word.capitalize() for word in one.type.split("_")),
            "Description": one.description,
            "NoEcho": str(one.hidden).lower(),
            "Label": one.label,
            **({} if one.default is None else {"Default": one.default}),
        }
        for name, one in template.parameters.items()
    }
    registry = {
        "resource_registry": {"resources": {}},
        "parameters": {},
        "parameter_defaults": {},
        "event_sinks": [],
    }
    return {"Description": template.description, "Parameters": parameters, "Environment": registry}
