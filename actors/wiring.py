"""The composition root: which adapter stands behind which port. The only actor-side file that knows adapters.

Guarantees: adapters and their client libraries are imported in the process that uses them, at Boot, and in no
other (gRPC and fork do not mix). Secrets travel inside the settings snapshot only, which masks itself.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from actors.ports import Agent, AgentTimeouts, PointSink, SpanSink, Stacks, Store
from config.sections import Snapshot

if TYPE_CHECKING:
    from actors.messages import Wiring


def wiring(settings: Snapshot) -> Wiring:
    """Factories for the real world, as configured."""
    from actors.messages import Wiring  # commands that only ask need no message

    return Wiring(
        partial(etcd, settings),
        partial(heat, settings),
        partial(snmp, settings),
        settings.http.token.reveal,
        partial(opentsdb, settings),
        partial(otel, settings),
    )


def etcd(settings: Snapshot) -> Store:
    """The store: etcd."""
    from actors.adapters.etcd3_store import EtcdStore, Login, Tls

    section = settings.etcd
    tls = None
    if section.ca_file is not None:
        cert = str(section.cert_file) if section.cert_file else None
        key = str(section.key_file) if section.key_file else None
        tls = Tls(str(section.ca_file), cert, key, section.server_name)
    login = Login(section.user, section.password.reveal()) if section.user else None
    return EtcdStore(section.endpoints, timeout_s=section.timeout_s, tls=tls, login=login)


def heat(settings: Snapshot) -> Stacks:
    """The stacks: Heat, through Keystone or directly."""
    from actors.adapters.heat_auth import HeatConfig
    from actors.adapters.heat_stacks import HeatStacks

    section = settings.heat
    template = section.endpoint.rstrip("/") + "/{tenant}" if section.endpoint else ""
    config = HeatConfig(
        endpoint_template=template,
        cloud="" if template else section.cloud or "envvars",
        admin_tenant=section.admin_tenant,
        region=section.region,
        interface=section.interface,
        ca_file=str(section.ca_file or ""),
        cert_file=str(section.cert_file or ""),
        key_file=str(section.key_file or ""),
        timeout_s=section.timeout_s,
        pool_size=section.max_in_flight,
        traces=bool(settings.otel.endpoint),
    )
    return HeatStacks(config)


def snmp(settings: Snapshot) -> Agent:
    """The agents: SNMP v2c, and v3 where users are configured."""
    from actors.adapters.pysnmp_agent import PysnmpAgent

    section = settings.snmp
    communities = {name: secret.reveal() for name, secret in section.communities.items()}
    users = {}
    if section.users:
        from actors.adapters.pysnmp_v3 import V3User

        for name, one in section.users.items():
            keys = {"auth_key": one.auth_key.reveal(), "priv_key": one.priv_key.reveal()}
            protocols = {"auth_protocol": one.auth_protocol, "priv_protocol": one.priv_protocol}
            users[name] = V3User(one.user or name, **keys, **protocols)
    timeouts = AgentTimeouts(section.timeout_s, section.retries)
    return PysnmpAgent(communities, timeouts, codec=section.codec, users=users)


def opentsdb(settings: Snapshot) -> PointSink | None:
    """The time-series store, if one is configured."""
    url = settings.snmp.opentsdb_url.reveal()
    if not url:
        return None
    from actors.adapters.opentsdb_put import OpentsdbPut

    return OpentsdbPut(url)


def otel(settings: Snapshot, controller: str) -> SpanSink | None:
    """The collector of traces, if one is configured (`config.otel_extra` has looked for its packages)."""
    section = settings.otel
    if not section.endpoint:
        return None
    from actors.adapters.otel_spans import Collector, OtelSpans

    headers = {name: secret.reveal() for name, secret in section.headers.items()}
    collector = Collector(section.url, headers, str(section.ca_file or ""), section.timeout_s)
    return OtelSpans(collector, controller, queue_max=section.queue_max)
