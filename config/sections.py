"""The settings themselves: one frozen dataclass per section, with defaults, units and limits.

Guarantees: no pydantic at run time, so a snapshot can be pickled to any process; secrets are masked in every
text form and come out by `reveal()` only; what contradicts itself inside a section cannot be built.
Where the values come from is `config.settings`; the section `[snmp]` is in `config.snmp_section`.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from annotated_types import Ge, Le

from actors.core.flapping import FlapRule
from actors.core.keys import ResourceType
from actors.core.monitor_types import MonitorType
from actors.core.options import Options
from config.monitor_types import load_monitor_types
from config.snmp_section import SnmpSection
from config.values import Count, Seconds, Secret, web_address

_ENDPOINT = re.compile(r"(https?://[^\s/:]+|https?://\[[0-9a-fA-F:]+\]):\d{1,5}")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _seen(address: str) -> str:
    """An address as it may be shown: without what stands before an @."""
    return repr(re.sub(r"[^/@]*@", "***@", address))


@dataclass(frozen=True, slots=True)
class EtcdSection:
    """etcd. No endpoints: standalone starts an etcd of its own."""

    endpoints: tuple[str, ...] = ()  # http(s)://host:port; several: IP addresses of one family
    ca_file: Path | None = None  # who has signed etcd's certificate; given, TLS is spoken
    cert_file: Path | None = None  # our own certificate, where etcd wants one
    key_file: Path | None = None  # its key
    server_name: str = ""  # in the certificate of every member: with TLS and several endpoints; "": the host
    user: str = ""  # where etcd has authentication on; "": no login
    password: Secret = Secret()  # noqa: RUF009 - immutable; of that user
    timeout_s: Seconds = 3.0  # of one call
    owner_ttl_s: Annotated[float, Ge(2), Le(300)] = 10.0  # lease of a controller and all it owns
    history_s: Annotated[float, Ge(0), Le(86_400)] = 600.0  # history that is kept; 0: etcd compacts itself
    history_mib: Annotated[int, Ge(1), Le(1_000_000)] = 256  # … unless it has grown by more than that

    def __post_init__(self) -> None:
        for endpoint in self.endpoints:
            if not (_ENDPOINT.fullmatch(endpoint) and web_address(endpoint)):
                raise ValueError(f"endpoints: {_seen(endpoint)} is not http(s)://host:port")
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file go together")
        if bool(self.user) != bool(self.password):
            raise ValueError("user and password go together")
        self._check_tls()

    def _check_tls(self) -> None:
        hosts = [urlsplit(endpoint).hostname or "" for endpoint in self.endpoints]
        addresses = [_address(host) for host in hosts]
        families = {address and address.version for address in addresses}
        if len(hosts) > 1 and (None in families or len(families) > 1):
            raise ValueError("endpoints: several must be IP addresses of one family, not names")
        if self.ca_file is None:
            if self.cert_file or self.server_name:
                raise ValueError("cert_file, key_file and server_name want a ca_file")
            if any(endpoint.startswith("https:") for endpoint in self.endpoints):
                raise ValueError("endpoints: https wants a ca_file: who has signed etcd's certificate")
            local = (
                host == "localhost" or (a is not None and a.is_loopback)
                for host, a in zip(hosts, addresses, strict=True)
            )
            if self.user and not all(local):
                raise ValueError("password: is sent to other machines over TLS only: it wants a ca_file")
        elif len(hosts) > 1 and not self.server_name:
            raise ValueError(
                "server_name: is wanted for several endpoints with TLS: a name in each certificate"
            )


@dataclass(frozen=True, slots=True)
class HeatSection:
    """OpenStack Heat: exactly one of `endpoint`, `cloud`, `use_os_variables`, or none (embedded)."""

    endpoint: str = ""  # a Heat without Keystone: http://host:port/v1
    cloud: str = ""  # a name in clouds.yaml; OS_CLOUD gives the default
    use_os_variables: bool = False  # OS_AUTH_URL, OS_USERNAME, …; true by itself where OS_AUTH_URL is set
    admin_tenant: str = "admin"  # for resources without tenant_id (contract 10.19)
    region: str = ""  # of Keystone's catalogue; a cloud's own where it names one
    interface: Literal["", "public", "internal", "admin"] = ""  # of the catalogue; "": the cloud's, or public
    ca_file: Path | None = None  # a private CA; a cloud's own (cacert, OS_CACERT) where it names one
    cert_file: Path | None = None  # our own certificate, where Heat or Keystone wants one
    key_file: Path | None = None  # its key
    timeout_s: Seconds = 30.0  # of one request
    tick_s: Seconds = 1.0  # between two looks at the stacks in progress of a tenant
    max_in_flight: Annotated[int, Ge(1), Le(512)] = 16  # concurrent requests of one Heat actor
    stacks_max: Count = 2000  # in the hands of one Heat actor at a time
    stacks_per_tenant_max: Count = 1000  # of those, of one tenant
    grace_s: Seconds = 60.0  # beyond heat_timeout, until Heat's silence about a stack is a failure
    drift_interval_s: Annotated[float, Ge(0), Le(604_800)] = (
        3600.0  # all settled stacks compared once; 0: never
    )
    silence_s: Seconds = 30.0  # without any answer of Heat, until its stacks are reported as unobserved

    def __post_init__(self) -> None:
        if sum(map(bool, (self.endpoint, self.cloud, self.use_os_variables))) > 1:
            raise ValueError("endpoint, cloud and use_os_variables exclude each other")
        if self.endpoint and not web_address(self.endpoint):
            raise ValueError(f"endpoint: {_seen(self.endpoint)} is not an http or https address")
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file go together")

    @property
    def source(self) -> Literal["endpoint", "cloud", "environment", "embedded"]:
        """Where Heat is found."""
        if self.endpoint:
            return "endpoint"
        if self.cloud:
            return "cloud"
        return "environment" if self.use_os_variables else "embedded"


@dataclass(frozen=True, slots=True)
class TypesSection:
    """Resource types: the YAML of `config/`, another file of that form, or Gohan's schema documents."""

    file: Path | None = None  # in place of config/types.yaml
    gohan: str = ""  # a file, or http(s)://host:port/gohan/v0.1/schemas
    patience_s: Seconds = 600.0  # how long a source that does not answer is asked again

    def __post_init__(self) -> None:
        if self.file is not None and self.gohan:
            raise ValueError("file and gohan exclude each other")
        if re.match(r"https?://[^/]*@", self.gohan):
            raise ValueError(f"gohan: {_seen(self.gohan)}: no login can be given in the address")


@dataclass(frozen=True, slots=True)
class WorkersSection:
    """Processes of each kind."""

    shards: Annotated[int, Ge(1), Le(64)] = 1  # processes that resources and devices live in
    heat_actors: Annotated[int, Ge(1), Le(64)] = 1  # processes that speak with Heat
    snmp_actors: Annotated[int, Ge(1), Le(64)] = 1  # processes that poll devices


@dataclass(frozen=True, slots=True)
class LimitsSection:
    """Bounds of queues, waits and retries."""

    live_resources_max: Count = 10_000  # in flight on this controller
    missing_resource_wait_s: Seconds = 60.0  # for a related resource that is not declared (contract 10.6)
    request_timeout_s: Seconds = 10.0  # until a request to another actor is sent again
    retry_base_s: Seconds = 0.5  # before the first new try of a job; doubled each time, with jitter
    retry_cap_s: Seconds = 60.0  # no longer than that between two tries
    retry_attempts_max: Annotated[int, Ge(1), Le(1000)] = (
        8  # of what is not simply waited for: conflicts, not found
    )

    def __post_init__(self) -> None:
        if self.retry_cap_s < self.retry_base_s:
            raise ValueError("retry_cap_s must not be less than retry_base_s")


@dataclass(frozen=True, slots=True)
class SupervisionSection:
    """When a silent or dying process is replaced, and when the controller gives up."""

    heartbeat_s: Seconds = 5.0  # between two questions whether a process lives
    heartbeats_missed_max: Annotated[int, Ge(1), Le(100)] = (
        4  # so many unanswered: it is replaced; five times that at its start
    )
    restarts_max: Annotated[int, Ge(0), Le(1000)] = 10  # within restarts_window_s
    restarts_window_s: Seconds = 60.0  # more than restarts_max in that time end the actor system


def default_state_dir(environ: Mapping[str, str]) -> Path:
    """`$XDG_STATE_HOME/gatewright`, else `~/.local/state/gatewright`."""
    home = environ.get("XDG_STATE_HOME", "")
    base = Path(home) if Path(home).is_absolute() else Path.home() / ".local" / "state"
    return base / "gatewright"


@dataclass(frozen=True, slots=True)
class PathsSection:
    """Where data is kept."""

    state_dir: Path = field(default_factory=lambda: default_state_dir(os.environ))  # of one controller alone


@dataclass(frozen=True, slots=True)
class StandaloneSection:
    """What `python run.py` starts by itself in place of what is not configured."""

    embedded: bool = True  # false: never; whatever is not configured is then an error
    heat: Literal["embedded", "real"] = "embedded"  # what stands in for Heat: our server, or OpenStack's own
    resource_seconds: Annotated[float, Ge(0), Le(3600)] = (
        0.5  # a resource of the embedded Heat takes that long
    )


@dataclass(frozen=True, slots=True)
class HttpSection:
    """The one HTTP port: metrics, health, read-only API, dashboard."""

    enabled: bool = True  # false: no port, no metrics, no dashboard
    host: str = "127.0.0.1"  # where to listen; beyond loopback only with a token
    port: Annotated[int, Ge(0), Le(65_535)] = 0  # 0: any free one, which is told at the start
    token: Secret = Secret()  # noqa: RUF009 - immutable; asked for as "Authorization: Bearer <token>"

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[!-~]*", self.token.reveal()):
            raise ValueError("token: must be printable ASCII without spaces: it is sent in a header")
        if self.host not in ("127.0.0.1", "::1", "localhost") and not self.token:
            raise ValueError(f"host: {self.host!r} can be reached by others, so a token is needed")


@dataclass(frozen=True, slots=True)
class OtelSection:
    """OpenTelemetry: a trace of every resource version, by OTLP over HTTP. Needs the packages of
    requirements-otel.lock."""

    endpoint: str = ""  # of the collector: http(s)://host:4318, without /v1/traces; "": no traces
    headers: Mapping[str, Secret] = field(
        default_factory=dict
    )  # sent with each request, for instance a token
    ca_file: Path | None = None  # who has signed the collector's certificate, where the system does not know
    timeout_s: Seconds = 10.0  # of one try; there are three, then the spans are dropped
    queue_max: Count = 1000  # versions whose spans wait to be sent; what comes beyond is dropped

    def __post_init__(self) -> None:
        like = re.fullmatch(r"https?://[^\s/@?#]+(/[^\s@?#]*)?", self.endpoint)
        if self.endpoint and not (like and web_address(self.endpoint)):
            seen = _seen(self.endpoint.partition("?")[0])
            raise ValueError(f"endpoint: {seen} is not http(s)://host:port; a login belongs into headers")
        for name, value in self.headers.items():
            if not _HEADER.fullmatch(name) or not re.fullmatch(r"[!-~]([ -~]*[!-~])?", value.reveal()):
                raise ValueError(f"headers: {name!r} and its value must be printable ASCII")

    @property
    def url(self) -> str:
        """Where spans are sent."""
        return self.endpoint.rstrip("/").removesuffix("/v1/traces") + "/v1/traces"


@dataclass(frozen=True, slots=True)
class LogSection:
    """Logging. `auto`: for people on a terminal, JSON lines elsewhere."""

    level: Literal["debug", "info", "warning", "error"] = "info"  # what is quieter than that is not logged
    format: Literal["auto", "human", "json"] = "auto"  # auto: human on a terminal, json elsewhere


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All settings, as handed to other processes. `origin`: the file they came from, or "defaults"."""

    etcd: EtcdSection = field(default_factory=EtcdSection)
    heat: HeatSection = field(default_factory=HeatSection)
    snmp: SnmpSection = field(default_factory=SnmpSection)
    types: TypesSection = field(default_factory=TypesSection)
    workers: WorkersSection = field(default_factory=WorkersSection)
    limits: LimitsSection = field(default_factory=LimitsSection)
    supervision: SupervisionSection = field(default_factory=SupervisionSection)
    paths: PathsSection = field(default_factory=PathsSection)
    standalone: StandaloneSection = field(default_factory=StandaloneSection)
    http: HttpSection = field(default_factory=HttpSection)
    otel: OtelSection = field(default_factory=OtelSection)
    log: LogSection = field(default_factory=LogSection)
    origin: str = "defaults"

    def monitor_types(self) -> Mapping[str, MonitorType]:
        """The kinds of monitors. Raises DocumentError."""
        return load_monitor_types(
            self.snmp.monitor_types_file, self.snmp.intervals, self.snmp.intervals_active
        )

    def options(
        self,
        types: tuple[ResourceType, ...],
        monitor_types: Mapping[str, MonitorType] | None = None,
        *,
        terminal: bool = False,
    ) -> Options:
        """What the actors read (no secrets). `terminal`: whether logs go to one (decides `auto`)."""
        return Options(
            types=types,
            shards=self.workers.shards,
            heat_actors=self.workers.heat_actors,
            snmp_actors=self.workers.snmp_actors,
            heat_threads=self.heat.max_in_flight,
            live_resources_max=self.limits.live_resources_max,
            missing_resource_wait_s=self.limits.missing_resource_wait_s,
            request_timeout_s=self.limits.request_timeout_s,
            retry_base_s=self.limits.retry_base_s,
            retry_cap_s=self.limits.retry_cap_s,
            retry_attempts_max=self.limits.retry_attempts_max,
            owner_ttl_s=self.etcd.owner_ttl_s,
            history_s=self.etcd.history_s,
            history_bytes=self.etcd.history_mib * 1024 * 1024,
            admin_tenant=self.heat.admin_tenant,
            heat_tick_s=self.heat.tick_s,
            heat_drift_interval_s=self.heat.drift_interval_s,
            heat_grace_s=self.heat.grace_s,
            heat_silence_s=self.heat.silence_s,
            heat_call_max_s=4 * self.heat.timeout_s,  # a login and a request, each with a new connection
            heat_stacks_max=self.heat.stacks_max,
            heat_stacks_per_tenant_max=self.heat.stacks_per_tenant_max,
            snmp_port=self.snmp.port,
            snmp_interval_active_s=self.snmp.interval_active_s,
            snmp_interval_s=self.snmp.interval_s,
            snmp_answer_timeout_s=self.snmp.answer_timeout_s,
            snmp_readings_interval_s=self.snmp.readings_interval_s,
            snmp_failures_max=self.snmp.failures_max,
            snmp_confirm_s=self.snmp.confirm_s,
            snmp_probe_base_s=self.snmp.probe_base_s,
            snmp_probe_cap_s=self.snmp.probe_cap_s,
            snmp_flaps=FlapRule(self.snmp.flap_changes, self.snmp.flap_window_s, self.snmp.flap_write_s),
            monitor_types=self.monitor_types() if monitor_types is None else monitor_types,
            default_community_name=self.snmp.default_community_name,
            devices=dict(self.snmp.devices),
            heartbeat_s=self.supervision.heartbeat_s,
            heartbeats_missed_max=self.supervision.heartbeats_missed_max,
            restarts_max=self.supervision.restarts_max,
            restarts_window_s=self.supervision.restarts_window_s,
            http_host=self.http.host,
            http_port=self.http.port if self.http.enabled else None,
            traces=bool(self.otel.endpoint),
            log_level=self.log.level,
            log_json=self.log.format == "json" or (self.log.format == "auto" and not terminal),
        )
