"""How a command that asks or steers reaches the installation: etcd itself, and a running controller if there is one.

Guarantees: nothing is started; etcd is read as of one revision; whatever cannot be reached is one
UnreachableError that says what to do, and what etcd answers and refuses is a RefusedError. A controller is asked for
what only it knows (live stages), and every command works without one.
"""

from __future__ import annotations

import difflib
import getpass
import http.client
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from actors import wiring
from actors.cli import output, rendezvous
from actors.cli.context import Context, UsageError
from actors.cli.rendezvous import Running
from actors.core.errors import ErrorClass, PortError
from actors.core.keys import TypeTable
from actors.core.knowledge import EXTRA, Knowledge, Live, ref_of
from actors.core.mirrored import MIRRORED
from actors.core.model import Ref
from actors.core.ownership import SHARDS, shard_number
from actors.ports import Store
from actors.runtime import alarm
from config import tls
from config.sections import Snapshot
from config.type_source import types_of

HTTP_TIMEOUT_S = 5.0
#: Resources whose live stage is asked for.
ROWS_MAX = 100_000


class UnreachableError(RuntimeError):
    """Neither etcd nor a controller answers. One line for a person."""


class RefusedError(RuntimeError):
    """etcd can be reached and does not do what was asked. One line for a person."""


#: Nobody answered, or nobody knows whether somebody did; everything else is an answer.
SILENCE = frozenset({ErrorClass.TRANSIENT, ErrorClass.IN_DOUBT})


@dataclass(slots=True)
class Installation:
    """What a command works with. `status`: what the controller said, None if none was reached."""

    settings: Snapshot
    store: Store
    types: TypeTable
    known: Knowledge
    running: Running | None
    status: dict[str, Any] | None = None

    def path(self, ref: Ref) -> str:
        """What follows the root in each key of the resource."""
        return self.types.path(ref)

    def check_type(self, name: str) -> None:
        """Raises UsageError if there is no such type."""
        if name not in self.types:
            close = difflib.get_close_matches(name, [kind.name for kind in self.types], 3)
            hint = f"; did you mean {' or '.join(close)}?" if close else ""
            raise UsageError(f"no such type {name!r}{hint}")


def effective(settings: Snapshot) -> tuple[Snapshot, Running | None]:
    """The settings with the addresses of the system that runs with the same state folder, if there is one.

    Raises UsageError if they do not go together with the rest of the settings.
    """
    running = rendezvous.read(settings.paths.state_dir)
    if running is None:
        return settings, None
    if not settings.etcd.endpoints and running.etcd:
        try:
            settings = replace(settings, etcd=replace(settings.etcd, endpoints=running.etcd))
        except ValueError as error:
            place = settings.paths.state_dir
            text = f"the system of {place} has settings that are not given here (--config, GATEWRIGHT_*): etcd.{error}"
            raise UsageError(text) from None
    if settings.heat.source == "embedded" and running.heat:
        settings = replace(settings, heat=replace(settings.heat, endpoint=running.heat))
    if not settings.snmp.devices and running.devices:
        settings = replace(settings, snmp=replace(settings.snmp, devices=running.devices))
    return settings, running


@contextmanager
def installation(context: Context, *, live: bool = True) -> Iterator[Installation]:
    """etcd as it is now, with live stages where a controller can be asked. Raises UnreachableError."""
    with connected(context) as (settings, store, running):
        types = types_of(context.settings.types, output.fail)
        known = read_everything(store, types)
        found = Installation(settings, store, types, known, running)
        if live:
            ask_controller(found)
        yield found


@contextmanager
def connected(context: Context) -> Iterator[tuple[Snapshot, Store, Running | None]]:
    """A connection to etcd. Raises UnreachableError, RefusedError, SettingsError."""
    settings, running = effective(context.settings)
    if not settings.etcd.endpoints:
        raise UnreachableError(
            f"no system runs in {settings.paths.state_dir} and etcd.endpoints is not set: start `python run.py` first"
        )
    tls.check(settings, "etcd")
    try:
        store = wiring.etcd(settings)
    except PortError as error:
        raise UnreachableError(f"etcd at {', '.join(settings.etcd.endpoints)}: {error}") from error
    try:
        yield settings, store, running
    except PortError as error:
        kind = UnreachableError if error.failure.error_class in SILENCE else RefusedError
        raise kind(f"etcd at {', '.join(settings.etcd.endpoints)}: {error}") from error
    finally:
        store.close()


def read_everything(store: Store, types: TypeTable) -> Knowledge:
    """Everything that is mirrored, with histories, all as of one revision."""
    known, revision = Knowledge(types, time.time(), alarm.limited), 0
    for prefix in (*MIRRORED, *EXTRA):
        after, more = "", True
        while more:
            page = store.page(prefix, after=after, revision=revision)
            revision, more = page.revision, page.more
            for entry in page.entries:
                known.put(entry.key, entry.value, entry.mod_revision, entry.create_revision)
                after = entry.key
    known.world.revision = revision
    holders = (
        (shard_number(e.key), e.value.decode(errors="replace"))
        for e in store.page(SHARDS, revision=revision).entries
    )
    known.owners = {number: owner for number, owner in holders if number is not None}
    return known


def ask_controller(found: Installation) -> None:
    """Add live stages, if a controller answers."""
    answer = get(found.running, f"/api/v1/status?limit={ROWS_MAX}")
    if (
        not isinstance(answer, dict) or "controller" not in answer
    ):  # its port is there, and it is silent itself
        return
    found.status = answer
    found.known.asked = True
    found.known.live = {ref: live for row in answer.get("rows", ()) for ref, live in _live(row)}


def get(running: Running | None, path: str) -> Any:
    """A value of the HTTP API; None if there is no controller that answers."""
    if running is None or not running.http:
        return None
    host, _, port = running.http.rpartition(":")
    connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=HTTP_TIMEOUT_S)
    headers = {"Authorization": f"Bearer {running.token}"} if running.token else {}
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        raw = response.read()
        return json.loads(raw) if response.status == 200 else None
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _live(row: dict[str, Any]) -> Iterator[tuple[Ref, Live]]:
    ref = ref_of(str(row.get("resource", "")))
    if ref is None:
        return
    awaits = tuple(r for r in map(ref_of, row.get("awaits", ())) if r is not None)
    yield (
        ref,
        Live(
            int(row["version"]),
            str(row["stage"]),
            str(row["reason"]),
            float(row["in_stage_seconds"]),
            str(row["error"]),
            dict(row["monitoring"]),
            awaits,
            dict(row["seconds"]),
        ),
    )


def who() -> str:
    """Who steers: user and host, for the record."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{os.uname().nodename}"
