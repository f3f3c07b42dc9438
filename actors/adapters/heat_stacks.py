"""`Stacks` over python-heatclient 5.3 and keystoneauth (research/heat.md 3).

Guarantees: every request has a timeout and is sent once, to `name/id`, so that no redirect is needed; each
failure of heatclient, keystoneauth or requests becomes one `PortError`, whose text holds no secret; an answer
that Heat would not give (a proxy's page, a wrong status) is a failure, never a success. Thread-safe.
Does not retry: who asks looks first (`find`), then decides.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar
from urllib.parse import quote

import requests
from heatclient.common.http import SessionClient
from heatclient.v1.stacks import Stack as Shown
from heatclient.v1.stacks import StackManager
from keystoneauth1.session import Session

from actors.adapters.heat_auth import HeatConfig, Login, completed, log_in
from actors.adapters.heat_errors import BrokenAnswerError, delegated_error, never_sent, port_error
from actors.core.errors import ErrorClass, PortError
from actors.core.model import Json, JsonObject
from actors.core.redact import secret_values
from actors.core.tracing import traceparent
from actors.ports import REQUEST_ID, Stack, StackSpec

T = TypeVar("T")
#: Authenticated projects kept at a time.
_TENANTS = 1024
#: What Heat takes for a stack's name: a question about any other may be refused, with all others in it.
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_.-]{0,254}")
#: Characters that the names take in one question: servers take URLs of 8 KB.
_PORTION = 6_000
_NOTHING: frozenset[str] = frozenset()


class HeatStacks:
    """Heat behind the `Stacks` port. One instance per process; any number of threads up to `pool_size`.

    `ports.REQUEST_ID` is sent with every request; Heat writes it into its own log. Where traces are wanted, the trace
    goes with it. Raises ValueError at once for a cloud that is not configured.
    """

    def __init__(self, config: HeatConfig) -> None:
        self._config = config = completed(config)
        self._session = _session(config)
        self._lock = threading.Lock()
        self._logins: dict[str, Login] = {}
        self._login(config.admin_tenant)  # a wrong configuration shows at the start

    def find(self, tenant: str, *names: str) -> tuple[Stack, ...]:
        """All living stacks of exactly these names, oldest first. Raises PortError."""

        def ask(heat: StackManager) -> tuple[Stack, ...]:
            found: list[Stack] = []
            for some in _portions(names):
                shown = heat.list(filters={"name": some}, sort_keys="creation_time", sort_dir="asc")
                found += (stack for stack in map(_stack, shown) if stack.name in some)
            return tuple(found)

        return self._call(tenant, ask)

    def create(self, spec: StackSpec) -> str:
        """Begin a create; returns Heat's stack id. Raises PortError (CONFLICT/StackExists, IN_DOUBT…)."""

        def ask(heat: StackManager) -> str:
            answer = heat.create(stack_name=spec.name, disable_rollback=True, **_fields(spec))
            return _text(answer["stack"]["id"])

        return self._call(spec.tenant, ask, write=True, secrets=_secrets(spec))

    def update(self, spec: StackSpec, stack_id: str) -> None:
        """Begin an update of that very stack. Tags are sent again: a PUT without them drops them (3.4)."""

        def ask(heat: StackManager) -> None:
            heat.update(_path(spec.name, stack_id), disable_rollback=True, **_fields(spec))

        self._call(spec.tenant, ask, write=True, secrets=_secrets(spec))

    def delete(self, tenant: str, name: str, stack_id: str) -> None:
        """Begin a delete. A stack that is gone is no error."""

        def ask(heat: StackManager) -> None:
            heat.delete(_path(name, stack_id))

        try:
            self._call(tenant, ask, write=True)
        except PortError as error:
            if error.failure.error_class is not ErrorClass.NOT_FOUND:
                raise

    def in_progress(self, tenant: str) -> frozenset[str]:
        """Ids of all stacks of the tenant that are IN_PROGRESS, by one request."""

        def ask(heat: StackManager) -> frozenset[str]:
            return frozenset(_text(one.id) for one in heat.list(filters={"status": "IN_PROGRESS"}))

        return self._call(tenant, ask)

    def get(self, tenant: str, name: str, stack_id: str, *, outputs: bool) -> Stack:
        """One stack. Raises PortError: NOT_FOUND only if Heat says that this stack is gone or deleted."""

        def ask(heat: StackManager) -> Stack:
            return _stack(heat.get(_path(name, stack_id), resolve_outputs=outputs))

        stack = self._call(tenant, ask)
        if (stack.action, stack.status) == ("DELETE", "COMPLETE"):
            raise PortError(ErrorClass.NOT_FOUND, "EntityNotFound", f"The Stack ({name}) was deleted.")
        return stack

    def close(self) -> None:
        """Close all connections."""
        self._session.session.close()

    def _call(
        self,
        tenant: str,
        ask: Callable[[StackManager], T],
        *,
        write: bool = False,
        secrets: frozenset[str] = _NOTHING,
    ) -> T:
        # Whatever the three libraries throw is sorted in one place; a programming error passes unchanged.
        login = self._login(tenant or self._config.admin_tenant)
        try:
            return ask(self._manager(login, tenant))
        except Exception as error:
            sorted_error = port_error(error, write=write, secrets=secrets | login.secrets)
            if sorted_error is None:
                raise
            if never_sent(error):
                login.plugin.invalidate()  # the catalogue that comes with the next token may know better
            if write and login.delegated and sorted_error.failure.error_class is ErrorClass.TERMINAL:
                sorted_error = delegated_error(sorted_error)
            # The library's text may quote what was sent: nothing of it is chained.
            raise sorted_error from None

    def _manager(self, login: Login, tenant: str) -> StackManager:
        correlation_id = REQUEST_ID.get()
        traced = self._config.traces and correlation_id
        client = _CheckedClient(
            self._session,
            auth=login.plugin,
            service_type="orchestration",
            interface=self._config.interface or "public",
            region_name=self._config.region or None,
            # keystoneauth fills in what stands behind a single %
            endpoint_override=self._config.endpoint_override(tenant).replace("%", "%%") or None,
            global_request_id=correlation_id or None,
            additional_headers={"traceparent": traceparent(correlation_id)} if traced else None,
        )
        return StackManager(client)

    def _login(self, project: str) -> Login:
        with self._lock:
            found = self._logins.get(project)
            if found is None:
                if len(self._logins) >= _TENANTS:
                    del self._logins[next(iter(self._logins))]
                found = self._logins[project] = log_in(self._config, project)
            return found


class _CheckedClient(SessionClient):  # type: ignore[misc]  # heatclient is untyped
    """heatclient's client, but an answer that Heat does not give is an error, and nothing is logged.

    heatclient reads the body of neither PUT nor DELETE: it would take a proxy's page for success.
    keystoneauth logs bodies at DEBUG, and they hold passwords.
    """

    _EXPECTED: Mapping[str, int] = {"GET": 200, "POST": 201, "PUT": 202, "DELETE": 204}

    def request(self, url: str, method: str, **kwargs: Json) -> requests.Response:
        """Send it. Raises BrokenAnswerError besides what heatclient raises."""
        response: requests.Response = super().request(url, method, log=False, **kwargs)
        kind = response.headers.get("Content-Type", "")
        if response.status_code != self._EXPECTED[method] or (response.content and "json" not in kind):
            raise BrokenAnswerError(f"HTTP {response.status_code} {kind or 'without a type'} to {method}")
        if method in ("GET", "POST"):
            _check(_read(response), method, url)
        return response


def _read(response: requests.Response) -> Json:
    try:
        return response.json()
    except ValueError as error:  # no JSON, or whole numbers that Python does not read
        raise BrokenAnswerError(str(error)) from error


def _check(answer: Json, method: str, url: str) -> None:
    """heatclient trusts the members of an answer, and asks again by itself for one that is missing."""
    if method == "POST":
        _member(_member(answer, "stack"), "id")
        return
    stacks = _member(answer, "stacks") if url.startswith("/stacks?") else [_member(answer, "stack")]
    if not isinstance(stacks, list):
        raise BrokenAnswerError("member 'stacks' is no list")
    for stack in stacks:
        for name in ("id", "stack_name", "stack_status"):
            if not isinstance(_member(stack, name), str):
                raise BrokenAnswerError(f"member '{name}' is no text")
        # heatclient makes attributes of all members, in the place of what it needs itself
        taken = sorted(name for name in stack if name.startswith("_") or callable(getattr(Shown, name, None)))
        if taken:
            raise BrokenAnswerError(f"a stack has no member '{taken[0]}'")


def _session(config: HeatConfig) -> Session:
    inner = requests.Session()
    # Without Keystone Heat is local: the environment's proxies and .netrc do not concern it.
    inner.trust_env = not config.endpoint_template
    adapter = requests.adapters.HTTPAdapter(pool_maxsize=config.pool_size, max_retries=0)
    inner.mount("http://", adapter)
    inner.mount("https://", adapter)
    return Session(session=inner, timeout=config.timeout_s, verify=config.verify, cert=config.cert)


def _portions(names: Iterable[str]) -> Iterator[list[str]]:
    """The names that Heat can hold, so many at a time that no server finds their URL too long."""
    portion: list[str] = []
    left = _PORTION
    for name in filter(_NAME.fullmatch, names):
        left -= len("&name=") + len(name)
        if left < 0:
            yield portion
            portion, left = [], _PORTION
        portion.append(name)
    if portion:
        yield portion


def _fields(spec: StackSpec) -> dict[str, Json]:
    fields: dict[str, Json] = {
        "template": spec.template,
        "parameters": dict(spec.parameters),
        "timeout_mins": spec.timeout_min,
    }
    if spec.tags:
        fields["tags"] = ",".join(spec.tags)
    return fields


def _secrets(spec: StackSpec) -> frozenset[str]:
    return secret_values(spec.template, spec.parameters) | spec.secrets


def _path(name: str, stack_id: str) -> str:
    return f"{quote(name, safe='')}/{quote(stack_id, safe='')}"


def _member(value: Json, name: str) -> Json:
    if not isinstance(value, Mapping) or name not in value:
        raise BrokenAnswerError(f"no member '{name}'")
    return value[name]


def _stack(shown: Json) -> Stack:
    """Heat's JSON of a stack, wrapped by heatclient."""
    plain: JsonObject = shown.to_dict()
    action, _, status = _text(plain["stack_status"]).partition("_")
    outputs = tuple(_list(plain.get("outputs")))
    if not all(isinstance(output, Mapping) for output in outputs):
        raise BrokenAnswerError("an output is no object")
    return Stack(
        _text(plain["id"]),
        _text(plain["stack_name"]),
        action,
        status,
        _text(plain.get("stack_status_reason") or ""),
        tuple(_text(tag) for tag in _list(plain.get("tags")) if isinstance(tag, str) and tag),
        outputs,
        _text(plain.get("updated_time") or ""),
        dict(parameters) if isinstance(parameters := plain.get("parameters"), Mapping) else {},
    )


def _text(value: Json) -> str:
    """As text that a record can hold: JSON may spell half of a character."""
    return str(value).encode("utf-8", "replace").decode()


def _list(value: Json) -> list[Json]:
    """What should be a list, and is none where Heat has nothing to say."""
    return value if isinstance(value, list) else []
