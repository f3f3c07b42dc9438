"""Resource types that our templates use, as far as Heat itself is concerned: nothing is built anywhere.

Guarantees: names, properties and attributes are those of the recorded templates; the attribute `name` of
logical and physical interfaces is not implemented, as in the recorded runs, so that outputs fail for real.
`GATEWRIGHT_RESOURCE_SECONDS`: how long creating, updating or deleting one lasts.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable
from typing import Any

from heat.engine import attributes, properties, resource

from sim.heat.catalogue import ESI_TYPES, EsiType

SECONDS = float(os.environ.get("GATEWRIGHT_RESOURCE_SECONDS", "0"))


class StandIn(resource.Resource):  # type: ignore[misc]  # Heat is untyped
    """Exists in Heat's database only."""

    lacks = ""
    seconds = SECONDS

    def handle_create(self) -> float:
        """Contrail keeps a `uuid` that it is given."""
        wanted = self.properties.get("uuid") if "uuid" in self.properties_schema else None
        self.resource_id_set(wanted or str(uuid.uuid4()))
        return time.time() + self.seconds

    def handle_update(self, _snippet: object, _template_diff: object, _property_diff: object) -> float:
        """Nothing to change but the record."""
        return time.time() + self.seconds

    def handle_delete(self) -> float:
        """Nothing to remove but the record."""
        return time.time() + (self.seconds if self.resource_id else 0.0)

    def handle_check(self) -> None:
        """There is nothing that could be wrong."""

    def check_create_complete(self, due: float) -> bool:
        """Whether its time has come."""
        return time.time() >= due

    check_update_complete = check_create_complete
    check_delete_complete = check_create_complete

    def _resolve_attribute(self, name: str) -> Any:
        if self.resource_id is None:
            return None
        if name == "name" and self.lacks:
            return getattr(self, self.lacks)  # the fault of the original plug-in
        special = _SPECIAL.get((type(self).__name__, name))
        if special is not None:
            return special(self)
        if name == "fq_name":
            return ":".join(
                ("default-domain", _project(self), self.properties.get("name") or self.resource_id)
            )
        return self.properties.get(name)


def _project(one: StandIn) -> str:
    return str(one.context.project_id)


def _ipam(one: StandIn) -> str:
    """An IPAM is named by its path but shown by its id."""
    named = str(one.properties.get("ipam") or "")
    return str(uuid.uuid5(uuid.NAMESPACE_URL, named)) if ":" in named else named


_SPECIAL: dict[tuple[str, str], Callable[[Any], Any]] = {
    ("ContrailExistingResource", "name"): lambda one: (one.properties.get("fq_name") or [None])[-1],
    ("ContrailExistingResource", "fq_name"): lambda one: one.properties.get("fq_name"),
    ("ContrailVirtualMachineInterface", "virtual_networks"): lambda one: [
        ["default-domain", _project(one), network] for network in one.properties.get("virtual_networks") or ()
    ],
    ("ContrailVnSubnet", "ipam"): _ipam,
    ("MonitoringTarget", "link"): lambda one: f"http://collector-agents-se:7070/targets/{one.resource_id}",
}


class Knob(StandIn):
    """A knob of tests: `fail_on` lists the actions that fail."""

    properties_schema = {  # noqa: RUF012  # Heat's own attribute
        "fail_on": properties.Schema(properties.Schema.LIST, default=[], update_allowed=True),
        "v": properties.Schema(properties.Schema.STRING, update_allowed=True),
        "imm": properties.Schema(properties.Schema.STRING),
    }
    attributes_schema = {"v": attributes.Schema("v")}  # noqa: RUF012

    def handle_create(self) -> float:
        """As told."""
        self._turn("CREATE", self.properties)
        return super().handle_create()

    def handle_update(self, snippet: object, template_diff: object, property_diff: Any) -> float:
        """As told by the new properties."""
        self._turn("UPDATE", {**self.properties, **property_diff})
        return super().handle_update(snippet, template_diff, property_diff)

    def handle_delete(self) -> float:
        """As told."""
        self._turn("DELETE", self.properties)
        return super().handle_delete()

    def handle_check(self) -> None:
        """As told."""
        self._turn("CHECK", self.properties)

    def _turn(self, action: str, values: Any) -> None:
        if action in (values.get("fail_on") or ()):
            raise ValueError(f"knob failed on {action}")


def _stand_in(kind: EsiType) -> type[StandIn]:
    """The class of one line of the catalogue."""
    schema = {
        name: properties.Schema(properties.Schema.ANY, name, update_allowed=name not in kind.replacing)
        for name in kind.property_names
    }
    members = {
        "__module__": __name__,
        "properties_schema": schema,
        "attributes_schema": {name: attributes.Schema(name) for name in kind.attribute_names},
        "lacks": kind.lacks,
        "seconds": SECONDS * kind.weight,
    }
    return type(kind.class_name, (StandIn,), members)


class Anything:
    """A constraint that every value meets: there is no Nova and no Glance to ask."""

    def validate(self, _value: object, _context: object, template: object = None) -> bool:
        """Yes."""
        return True


def resource_mapping() -> dict[str, type]:
    """What Heat asks a plug-in for: classes by type name."""
    return {"ESI::Test::Knob": Knob, **{kind.name: _stand_in(kind) for kind in ESI_TYPES}}


def constraint_mapping() -> dict[str, type]:
    """What Heat asks a plug-in for: constraints by name."""
    return {"nova.flavor": Anything, "glance.image": Anything}
