"""The resource types that the simulated Heat knows: the ESI ones, and three of Heat's own for tests.

Guarantees: attributes have the shapes seen in the recorded runs, the broken ones included (`name` of a
logical or physical interface). ESI and Contrail types accept any value of their properties. Nothing is built
anywhere: a type only says how long an action lasts, whether it fails and what can be read afterwards.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from sim.heat.catalogue import ESI_TYPES, EsiType
from sim.heat.fault import invalid
from sim.heat.hot import FunctionError
from sim.heat.parameters import Json, JsonObject

#: Lasts until the stack's timeout ends it.
FOREVER = float("inf")


@dataclass(frozen=True, slots=True)
class ResourceType:
    """What is known of a type. None for `attributes` or `properties`: any name will do.

    `replaced_by`: properties whose change makes a new resource. `weight`: how many times the usual seconds an
    action takes. `broken`: attributes that fail, with the text of the failure.
    """

    name: str
    attributes: frozenset[str] | None = frozenset()
    properties: frozenset[str] | None = None
    replaced_by: frozenset[str] = frozenset()
    weight: float = 1.0
    broken: Mapping[str, str] | None = None


def _esi(kind: EsiType) -> ResourceType:
    broken = None
    if kind.lacks:
        broken = {"name": f"'{kind.class_name}' object has no attribute '{kind.lacks}'"}
    return ResourceType(
        kind.name,
        frozenset(kind.attribute_names),
        frozenset(kind.property_names),
        frozenset(kind.replacing),
        kind.weight,
        broken,
    )


TYPES: Mapping[str, ResourceType] = {
    one.name: one
    for one in (
        *map(_esi, ESI_TYPES),
        # A knob of tests: `fail_on` lists the actions that fail.
        ResourceType(
            "ESI::Test::Knob", frozenset({"v"}), frozenset({"fail_on", "v", "imm"}), frozenset({"imm"})
        ),
        ResourceType(
            "OS::Heat::TestResource",
            frozenset({"output"}),
            frozenset(
                {
                    "value", "fail", "update_replace", "wait_secs", "action_wait_secs", "attr_wait_secs",
                    "update_replace_value", "client_name", "entity_name", "constraint_prop_secs",
                }
            ),
            frozenset({"update_replace_value"}),
            weight=0.0,
        ),
        ResourceType(
            "OS::Heat::RandomString",
            frozenset({"value"}),
            frozenset({"length", "sequence", "character_classes", "character_sequences", "salt"}),
            frozenset({"length", "sequence", "character_classes", "character_sequences", "salt"}),
            weight=0.0,
        ),
        ResourceType("OS::Heat::None", None, weight=0.0),
    )
}  # fmt: skip


def type_of(name: str) -> ResourceType:
    """Raises HeatError(StackValidationFailed) for an unknown type."""
    found = TYPES.get(name)
    if found is None:
        raise invalid(f"The Resource Type ({name}) could not be found.")
    return found


def first_id(properties: JsonObject, fresh: str) -> str:
    """The physical id of a new resource: Contrail keeps a `uuid` that it is given."""
    wanted = properties.get("uuid")
    return wanted if isinstance(wanted, str) and wanted else fresh


def course(
    kind: ResourceType, name: str, action: str, properties: JsonObject, usual_s: float
) -> tuple[float, str]:
    """How long CREATE, UPDATE, DELETE or CHECK lasts in seconds, and why it fails ("": it does not)."""
    seconds, failure = usual_s * kind.weight, ""
    if kind.name == "OS::Heat::TestResource":
        waits = properties.get("action_wait_secs") or {}
        seconds = float(waits.get(action.lower()) or properties.get("wait_secs") or 0)
        seconds = FOREVER if seconds < 0 else seconds
        if action in ("CREATE", "UPDATE") and str(properties.get("fail", False)).lower() in ("true", "1"):
            failure = f"ValueError: resources.{name}: Test Resource failed {name}"
    if action in (properties.get("fail_on") or ()) and kind.name == "ESI::Test::Knob":
        failure = f"ValueError: resources.{name}: knob failed on {action}"
    return seconds, failure


def attribute(
    kind: ResourceType, attribute_name: str, physical_id: str, properties: JsonObject, tenant: str
) -> Json:
    """The value of an attribute. Raises FunctionError for a broken one."""
    if kind.broken and attribute_name in kind.broken:
        raise FunctionError(kind.broken[attribute_name])
    special = _SPECIAL.get((kind.name, attribute_name))
    if special is not None:
        return special(physical_id, properties, tenant)
    if attribute_name == "fq_name":
        return ":".join(("default-domain", tenant, str(properties.get("name") or physical_id)))
    return properties.get(attribute_name)


def _existing_name(physical_id: str, properties: JsonObject, tenant: str) -> Json:
    path = properties.get("fq_name")
    return path[-1] if isinstance(path, list) and path else None


def _existing_path(physical_id: str, properties: JsonObject, tenant: str) -> Json:
    return properties.get("fq_name")


def _networks(physical_id: str, properties: JsonObject, tenant: str) -> Json:
    return [["default-domain", tenant, network] for network in properties.get("virtual_networks") or ()]


def _ipam(physical_id: str, properties: JsonObject, tenant: str) -> Json:
    """An IPAM is named by its path but shown by its id."""
    named = str(properties.get("ipam") or "")
    return str(uuid.uuid5(uuid.NAMESPACE_URL, named)) if ":" in named else named


def _link(physical_id: str, properties: JsonObject, tenant: str) -> Json:
    return f"http://collector-agents-se:7070/targets/{physical_id}"


def _test_output(physical_id: str, properties: JsonObject, tenant: str) -> Json:
    return properties.get("value")


def _random_text(physical_id: str, properties: JsonObject, tenant: str) -> Json:
    """As good as random: it follows from the physical id, so that it stays."""
    length = int(properties.get("length") or 32)
    digest = hashlib.shake_128(physical_id.encode()).hexdigest(length)
    return digest[:length]


_SPECIAL = {
    ("OS::Contrail::ExistingResource", "name"): _existing_name,
    ("OS::Contrail::ExistingResource", "fq_name"): _existing_path,
    ("OS::Contrail::VirtualMachineInterface", "virtual_networks"): _networks,
    ("OS::Contrail::VnSubnet", "ipam"): _ipam,
    ("ESI::Monitoring::MonitoringTarget", "link"): _link,
    ("OS::Heat::TestResource", "output"): _test_output,
    ("OS::Heat::RandomString", "value"): _random_text,
}
