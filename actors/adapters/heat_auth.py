"""How to reach Heat and who we are there: three ways, one dataclass.

Guarantees: no secret in `repr`; the libraries for clouds.yaml are loaded only when it is used.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from keystoneauth1 import loading
from keystoneauth1.identity import v3
from keystoneauth1.noauth import NoAuth

from actors.core.redact import secret_values

#: keystoneauth's plugins are untyped.
AuthPlugin = Any
_PROJECT_SCOPE = (
    "project_id", "project_name", "project_domain_id", "project_domain_name", "tenant_id", "tenant_name",
    "system_scope", "domain_id", "domain_name",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class HeatConfig:
    """Give `endpoint_template`, or `cloud`, or `auth_url` with a user.

    `endpoint_template`: Heat without Keystone, `http://host:port/v1/{tenant}`.
    `cloud`: a name in clouds.yaml; "envvars" for the OS_* variables.
    `auth_url`, `username`, `password`, domains: Keystone v3 with a password. (Application credentials cannot
    create stacks: Heat's trusts refuse them.)
    `traces`: requests carry the trace of their resource version, as W3C Trace Context has it.
    `admin_tenant`: the project id of resources without a tenant (contract 10.19).
    `timeout_s`: of one request, in seconds. `pool_size`: connections, at least the number of calling threads.
    `region`, `interface`, `ca_file`, `cert_file` and `key_file` overrule what a cloud says; a `ca_file` of ""
    means the system's. `insecure`: certificates are not checked (clouds.yaml: `verify: false`).
    """

    endpoint_template: str = ""
    cloud: str = ""
    auth_url: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    user_domain: str = "default"
    region: str = ""
    interface: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    insecure: bool = False
    admin_tenant: str = "admin"
    timeout_s: float = 30.0
    pool_size: int = 16
    traces: bool = False

    def __post_init__(self) -> None:
        ways = [bool(self.endpoint_template), bool(self.cloud), bool(self.auth_url)]
        if ways.count(True) != 1:
            raise ValueError("give exactly one of endpoint_template, cloud and auth_url")
        if self.timeout_s <= 0 or self.pool_size < 1:
            raise ValueError("timeout_s and pool_size must be positive")

    @property
    def verify(self) -> bool | str:
        """What requests wants: a CA file, or whether to check at all."""
        return self.ca_file or not self.insecure

    @property
    def cert(self) -> tuple[str, str] | None:
        """What requests wants: the client certificate, or None."""
        return (self.cert_file, self.key_file) if self.cert_file else None

    def endpoint_override(self, tenant: str) -> str:
        """Heat's address for that tenant, or "" to ask Keystone's catalogue."""
        return self.endpoint_template.replace("{tenant}", quote(tenant or self.admin_tenant, safe=""))


@dataclass(frozen=True, slots=True)
class Login:
    """A plugin that speaks for one project, and the texts that must never be shown.

    `delegated`: an application credential, with which Heat creates no stacks; it speaks for its own project,
    whichever is asked for.
    """

    plugin: AuthPlugin
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    delegated: bool = False


def completed(config: HeatConfig) -> HeatConfig:
    """With region, interface and certificates of the cloud, where `config` names none.

    Raises ValueError for a cloud that is not configured.
    """
    if not config.cloud:
        return config
    found = _cloud(config.cloud).config
    return replace(
        config,
        region=config.region or found.get("region_name") or "",
        interface=config.interface or found.get("interface") or "",
        ca_file=config.ca_file or found.get("cacert") or "",
        cert_file=config.cert_file or found.get("cert") or "",
        key_file=config.key_file or found.get("key") or "",
        insecure=config.insecure or found.get("verify") is False,
    )


def log_in(config: HeatConfig, project: str) -> Login:
    """A login for `project` (a project id); it asks Keystone when it is used, and renews its token by itself.

    Raises ValueError for a cloud that is not configured.
    """
    if config.endpoint_template:
        return Login(NoAuth(endpoint=config.endpoint_override(project)))
    if config.cloud:
        return _from_cloud(config.cloud, project)
    plugin = v3.Password(
        auth_url=config.auth_url,
        username=config.username,
        password=config.password,
        user_domain_id=config.user_domain,
        project_id=project,
    )
    return Login(plugin, frozenset({config.password} if config.password else ()))


def _from_cloud(cloud: str, project: str) -> Login:
    found = _cloud(cloud)
    options = {name: value for name, value in found.config["auth"].items() if name not in _PROJECT_SCOPE}
    loader = loading.get_plugin_loader(found.config["auth_type"])
    delegated = "applicationcredential" in found.config["auth_type"]
    scope = {} if delegated else {"project_id": project}
    return Login(loader.load_from_options(**options, **scope), secret_values({}, options), delegated)


def _cloud(name: str) -> Any:
    """A cloud of clouds.yaml. openstacksdk is untyped."""
    from openstack.config import OpenStackConfig
    from openstack.exceptions import ConfigException

    try:
        return OpenStackConfig().get_one(cloud=name)
    except ConfigException as error:
        raise ValueError(f"cloud {name!r}: {error}") from error
