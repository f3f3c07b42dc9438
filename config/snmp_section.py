"""The section `[snmp]`: how devices are asked, as whom, how often, and when what they say is believed.

Guarantees: those of `config.sections`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge, Le

from config.values import Port, Seconds, Secret, web_address

_HOST_PORT = re.compile(r"([^\s:]+|\[[0-9a-fA-F:]+\]):\d{1,5}")


@dataclass(frozen=True, slots=True)
class SnmpUser:
    """An SNMPv3 user. Keys are passphrases of at least 8 characters; without `priv_key` nothing is encrypted."""

    auth_key: Secret
    user: str = ""  # "": the name under which it is listed
    auth_protocol: Literal["MD5", "SHA", "SHA224", "SHA256", "SHA384", "SHA512"] = "SHA256"
    priv_key: Secret = Secret()  # noqa: RUF009 - immutable
    priv_protocol: Literal["DES", "AES", "AES192", "AES256"] = "AES"

    def __post_init__(self) -> None:
        for key in (self.auth_key, self.priv_key):
            if key and len(key.reveal()) < 8:
                raise ValueError("a key must have at least 8 characters (RFC 3414)")
        if not self.auth_key:
            raise ValueError("auth_key is needed")


@dataclass(frozen=True, slots=True)
class SnmpSection:
    """SNMP. A community name that is listed under `users` means SNMPv3 with that user, one that is listed under
    `communities` v2c with that community, and any other is its own community (contract 10.30)."""

    port: Port = 161  # of every device that `devices` does not name
    codec: Literal["fast", "pysnmp"] = "fast"  # who reads and writes v2c PDUs; pysnmp takes 80 times as long
    timeout_s: Seconds = 1.0  # of one try
    retries: Annotated[int, Ge(0), Le(10)] = 2  # tries after the first
    answer_timeout_s: Seconds = 20.0  # of one whole poll, index walk included
    interval_active_s: Seconds = 5.0  # while a target is not ACTIVE yet
    interval_s: Seconds = 30.0  # afterwards
    intervals_active: Mapping[str, Seconds] = field(
        default_factory=dict
    )  # monitor type → its interval_active_s
    intervals: Mapping[str, Seconds] = field(default_factory=dict)  # monitor type → its interval_s
    failures_max: Annotated[int, Ge(1), Le(100)] = 2  # silent looks in a row until FAIL
    confirm_s: Annotated[float, Ge(0), Le(86_400)] = (
        0.0  # so old a change must be; a second look it always takes
    )
    probe_base_s: Seconds = 30.0  # a silent device is asked again after this …
    probe_cap_s: Seconds = 300.0  # … and twice that, up to this
    flap_changes: Annotated[int, Ge(2), Le(1000)] = 6  # so many changes …
    flap_window_s: Seconds = 600.0  # … within this are flapping
    flap_write_s: Seconds = 60.0  # what flaps is written to /monitoring at most so often
    readings_interval_s: Seconds = 60.0  # between two looks at counters and other readings
    opentsdb_url: Secret = Secret()  # noqa: RUF009 - immutable; http(s)://[user:password@]host:port, "": none
    monitor_types_file: Path | None = None  # rows over those of config/monitor_types.yaml
    communities: Mapping[str, Secret] = field(default_factory=dict)  # community name → community
    users: Mapping[str, SnmpUser] = field(default_factory=dict)  # community name → SNMPv3 user
    devices: Mapping[str, str] = field(default_factory=dict)  # declared address → host:port of its agent
    default_community_name: str = "EDGE_ROUTER_COMMUNITY"  # where a monitor names none (vrrp, bgp)

    def __post_init__(self) -> None:
        if self.opentsdb_url and not web_address(self.opentsdb_url.reveal()):
            raise ValueError("opentsdb_url: must be an http or https address")
        if self.probe_cap_s < self.probe_base_s:
            raise ValueError("probe_cap_s must not be less than probe_base_s")
        for address, place in self.devices.items():
            if not (_HOST_PORT.fullmatch(place) and web_address(f"http://{place}")):
                raise ValueError(f"devices: {address!r} must map to host:port, not {place!r}")

    def community(self, name: str) -> Secret:
        """The community that a template means by `name`."""
        return self.communities.get(name) or Secret(name)
