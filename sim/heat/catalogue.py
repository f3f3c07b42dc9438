"""The ESI resource types: one table for the simulated Heat and for the plug-ins of the real one.

Guarantees: standard library only and no import of this project, because Heat's own Python loads this file too.
"""

from __future__ import annotations

from typing import NamedTuple


class EsiType(NamedTuple):
    """A type that builds nothing. Names are separated by blanks.

    `properties`: any value is taken; a change of one with `*` makes a new resource. `lacks`: what the class
    misses, so that its attribute `name` fails. `weight`: how many times the usual seconds an action takes.
    """

    name: str
    properties: str
    attributes: str = ""
    lacks: str = ""
    weight: float = 1.0

    @property
    def class_name(self) -> str:
        """The Python class, as it shows in failures of attributes."""
        _, family, last = self.name.split("::")
        return f"Contrail{last}" if family == "Contrail" else last

    @property
    def property_names(self) -> tuple[str, ...]:
        """All properties."""
        return tuple(word.rstrip("*") for word in self.properties.split())

    @property
    def replacing(self) -> tuple[str, ...]:
        """Properties whose change makes a new resource."""
        return tuple(word[:-1] for word in self.properties.split() if word.endswith("*"))

    @property
    def attribute_names(self) -> tuple[str, ...]:
        """All attributes, those that fail included."""
        return tuple(self.attributes.split())


_VMI = "virtual_machine_interface"
_USERS = "user_username user_password admin_username admin_password other_username other_password"

ESI_TYPES: tuple[EsiType, ...] = (
    EsiType("OS::Contrail::ExistingResource", "fq_name* resource_type*", "name fq_name"),
    EsiType("OS::Contrail::PhysicalInterface", "name physical_router", "name fq_name", lacks="pi_uuid"),
    EsiType(
        "OS::Contrail::LogicalInterface",
        f"name physical_interface* type* vlan {_VMI}s",
        "name fq_name",
        lacks="li_uuid",
    ),
    EsiType(
        "OS::Contrail::PhysicalRouter",
        "name vendor_name product_name vnc_managed management_ip dataplane_ip virtual_routers user_credentials",
        "name fq_name vendor_name product_name vnc_managed management_ip dataplane_ip virtual_routers "
        "physical_interfaces logical_interfaces",
    ),
    EsiType(
        "OS::Contrail::VirtualNetwork",
        "uuid name forwarding_mode route_targets shared admin_state_up external allow_transit",
        "name fq_name route_targets",
    ),
    EsiType(
        "OS::Contrail::VnSubnet",
        "name network_id ip_prefix default_gateway ipam enable_dhcp dns_server_address dns_nameservers "
        "ntp_servers host_routes allocation_pools gateway_is_vrouter",
        "name network_id ip_prefix default_gateway ipam",
    ),
    EsiType(
        "OS::Contrail::VirtualMachineInterface",
        f"uuid name {_VMI}_allowed_address_pairs {_VMI}_mac_addresses virtual_networks virtual_machine "
        "device_owner admin_state_up security_groups",
        f"name fq_name virtual_networks {_VMI}_mac_addresses {_VMI}_allowed_address_pairs",
    ),
    EsiType("OS::Contrail::InstanceIp", f"name ip_address subnet_id network_id {_VMI}s", "name ip_address"),
    EsiType(
        "OS::Contrail::NetconfNamedConfigs",
        "device_ip port username password lock_timeout configs on_update",
        weight=3.0,
    ),
    EsiType(
        "ESI::Monitoring::MonitoringTarget",
        "type resource_type resource_id tenant_id version* field_name properties syncer_properties",
        "link",
    ),
    EsiType(
        "ESI::VNF::Instance",
        "name flavor image networks availability_zone reboot user_data user_data_format config_drive",
        "name",
    ),
    EsiType("ESI::VNF::VyattaConfig", f"management_ip credentials default_gateway networks {_USERS}"),
    EsiType(
        "ESI::VNF::NetscalerConfig",
        f"management_ip management_gateway server_id license_code model init_config networks internet_port "
        f"default_gateway credentials {_USERS}",
    ),
    EsiType(
        "ESI::VNF::NetscalerSyslogServer",
        "name ip_address port_number log_level log_facility tcp_logging acl_logging appflow_logging date_format "
        "time_zone user_configurable_log_messages transport_type priority vserver_ip_address comment "
        "management_ip credentials init_config",
    ),
)
