"""What `doctor` finds in etcd: version, speed, alarms, who owns the keys, and each server with its clock.

Guarantees: looks only; servers are asked as the store asks them, with the same certificates.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from http import client as http_client
from urllib.parse import urlsplit

from actors.cli.finding import Finding
from actors.cli.reach import Installation
from actors.core.etcd_versions import Grade, grade_version
from actors.core.ownership import CONTROLLERS, VSHARDS
from actors.core.remedies import remedy
from config import tls
from config.sections import EtcdSection

TIMEOUT_S = 5.0
SKEW_MAX_S = 2.0
SLOW_S = 0.1


def etcd(found: Installation) -> Iterator[Finding]:
    """Version, speed, alarms, clock, and who owns the keys."""
    status = found.store.status()
    version = status.version
    grade, remark = grade_version(version)
    severity = {Grade.OK: "ok", Grade.WARN: "warn", Grade.REFUSE: "error"}[grade]
    how = "upgrade etcd" if grade is not Grade.OK else ""
    if version:
        yield Finding("etcd version", severity, remark or f"etcd {version}", how)
    else:
        yield Finding("etcd version", "info", "etcd tells its version to root only: 3.4.42, 3.5.28 or later")
    for alarm in status.alarms:
        how = remedy("NoSpace") if alarm == "NOSPACE" else "see etcd's documentation of that alarm"
        yield Finding("etcd alarm", "error", f"etcd has raised {alarm}: it takes no writes", how)
    began = time.monotonic()
    entries = found.store.page(CONTROLLERS).entries
    took = time.monotonic() - began
    slow = took > SLOW_S
    how = "look at etcd's disk (fsync) and at the network between" if slow else ""
    yield Finding("etcd latency", "warn" if slow else "ok", f"a read takes {took * 1000:.1f} ms", how)
    for endpoint in found.settings.etcd.endpoints:
        yield from etcd_server(endpoint, found.settings.etcd)
    if found.status is not None and found.status.get("store") != "up":
        text = f"the controller says: etcd {found.status['store']}"
        how = "see the log; it goes on by itself when etcd answers"
        yield Finding(
            "controller", "error", text, how if "down since" in text else "mend what the text names"
        )
    elif entries:
        names = ", ".join(entry.key.removeprefix(CONTROLLERS) for entry in entries)
        heard = "one of this state folder answers" if found.status is not None else "none was asked"
        yield Finding("controller", "ok", f"alive: {names}; {heard}")
        free = VSHARDS - len(found.known.owners or ())
        if free:
            text = f"{free} of {VSHARDS} virtual shards are owned by none of them: nothing goes on there"
            how = "look again in a minute: if it stays so, restart the controllers one by one, and report it"
            yield Finding("ownership", "warn", text, how)
    else:
        yield Finding("controller", "warn", "no controller lives: nothing is being worked at", "start one")


def etcd_server(endpoint: str, section: EtcdSection) -> Iterator[Finding]:
    """By its answer to HTTP on the port for clients: whether it answers, and its clock."""
    try:
        skew = _skew(endpoint, section)
    except ssl.SSLError as error:
        text = f"{endpoint}: no TLS with the certificates of the settings: {error.reason or error}"
        how = "look at etcd.ca_file, etcd.cert_file and etcd.server_name, and at the names in its certificate"
        yield Finding("etcd server", "warn", text, how)
    except OSError as error:
        text = f"{endpoint} does not answer ({error.strerror or error}); those of etcd.endpoints that do are used"
        yield Finding("etcd server", "warn", text, "start that etcd, or take it out of etcd.endpoints")
    except (http_client.HTTPException, ValueError):
        text = f"{endpoint} tells no time: it speaks no HTTP there"
        yield Finding("clock", "info", text, "see that NTP runs on that machine")
    else:
        if abs(skew) > SKEW_MAX_S:
            text = f"the clock of {endpoint} is {skew:+.0f} s from ours"
            yield Finding("clock", "warn", text, "run NTP on both; times in histories are off by that much")
        else:
            yield Finding("clock", "ok", f"{endpoint} has our time (within {SKEW_MAX_S:g} s)")


def _skew(endpoint: str, section: EtcdSection) -> float:
    """Seconds by which its clock is ahead of ours. Raises OSError (ssl.SSLError), HTTPException, ValueError."""
    place = urlsplit(endpoint)
    host, port = place.hostname or "", place.port or 0
    connection = http_client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    with contextlib.closing(connection):
        connection.sock = socket.create_connection((host, port), TIMEOUT_S)
        if section.ca_file is not None:
            context = tls.context("etcd", section)
            context.verify_flags &= (
                ~ssl.VERIFY_X509_STRICT
            )  # Python's from 3.13 on; the store's gRPC does without
            connection.sock = context.wrap_socket(
                connection.sock, server_hostname=section.server_name or host
            )
        connection.request("GET", "/version")
        response = connection.getresponse()
        response.read()
        return parsedate_to_datetime(response.getheader("Date") or "").timestamp() - time.time()
