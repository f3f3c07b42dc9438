"""`doctor`: is everything around the engine as it must be? Each finding with its remedy.

Guarantees: looks only; one check that fails or hangs does not keep the others from being made (each has a
deadline).
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import socket
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict
from http import client as http_client
from typing import Any

from rich.table import Table
from rich.text import Text

from actors import wiring
from actors.cli import output
from actors.cli.context import Context
from actors.cli.doctor_etcd import etcd, etcd_server
from actors.cli.finding import Finding
from actors.cli.reach import Installation, UnreachableError, effective, installation
from actors.cli.template_check import template_problem
from actors.core import keys
from actors.core.errors import PortError
from actors.core.monitors import Target
from actors.core.pauses import resume
from actors.core.polling import host_and_port
from actors.core.redact import without_login
from actors.core.remedies import remedy
from actors.ports import DeviceAddress
from config import otel_extra, tls
from config.sections import Snapshot

TIMEOUT_S = 5.0
FILES_MIN = 4096
RCVBUF_WANTED = 1024 * 1024
DEVICES_MAX = 50
SYS_UPTIME = "1.3.6.1.2.1.1.3.0"
#: Kinds of failure of who is not there; elsewhere it is enough to wait for him.
AWAY = frozenset({"ConnectFailure", "Connection", "Unreachable", "Timeout"})
STYLE = {"ok": "green", "info": "cyan", "warn": "yellow", "error": "red"}


def add_commands(_parser: argparse.ArgumentParser, commands: Any) -> None:
    """`doctor`."""
    doctor = output.with_json(
        commands.add_parser("doctor", help="look at everything around: each finding with its remedy")
    )
    doctor.set_defaults(run=_doctor)


def _doctor(context: Context) -> int:
    settings, _ = effective(context.settings)
    findings = [Finding("settings", "ok", f"read from {settings.origin}")]
    findings.extend(machine(settings))
    findings.extend(traces(settings))
    try:
        with installation(context) as found:
            findings.extend(etcd(found))
            findings.extend(templates(found))
            findings.extend(state(found))
            findings.extend(heat(found.settings))
            findings.extend(devices(found))
    except UnreachableError as error:
        findings.append(Finding("etcd", "error", str(error), "start etcd, or correct etcd.endpoints"))
        for endpoint in settings.etcd.endpoints:
            findings.extend(etcd_server(endpoint, settings.etcd))
        findings.extend(heat(settings))
    if context.parsed.json:
        output.emit_json({"findings": [asdict(finding) for finding in findings]})
    else:
        output.console().print(_table(findings))
    return 1 if any(finding.severity == "error" for finding in findings) else 0


def _table(findings: list[Finding]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("check", "", "finding"):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        text = Text(finding.text)
        if finding.remedy:
            text.append(f"\n→ {finding.remedy}", "bold")
        table.add_row(finding.check, Text(finding.severity, STYLE[finding.severity]), text)
    return table


# ------------------------------------------------------------------------------------------------ machine


def machine(settings: Snapshot) -> Iterator[Finding]:
    """File descriptors and socket buffers of this machine."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < FILES_MIN:
        how = f"raise it: `ulimit -n {FILES_MIN}`, LimitNOFILE= in the unit (the hard limit is {hard})"
        yield Finding("files", "warn", f"only {soft} file descriptors are allowed per process", how)
    else:
        yield Finding("files", "ok", f"{soft} file descriptors are allowed per process")
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RCVBUF_WANTED)
            given = probe.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2  # Linux doubles it
    except OSError as error:
        yield Finding(
            "snmp socket", "error", f"no UDP socket can be opened: {error}", "allow UDP to the devices"
        )
        return
    if given < RCVBUF_WANTED:
        how = f"sysctl -w net.core.rmem_max={RCVBUF_WANTED}"
        text = f"the receive buffer of a UDP socket is at most {given // 1024} KiB: bursts of answers may be lost"
        yield Finding("snmp socket", "warn", text, how)
    else:
        yield Finding("snmp socket", "ok", f"UDP receive buffer of {given // 1024} KiB")
    folder = settings.paths.state_dir
    if folder.exists() and folder.stat().st_mode & 0o077:
        yield Finding("state folder", "warn", f"{folder} can be read by others", f"chmod 700 {folder}")


def traces(settings: Snapshot) -> Iterator[Finding]:
    """Whether what traces need is installed, and whether the collector takes them."""
    otel = settings.otel
    if not otel.endpoint:
        return
    problem = otel_extra.missing(settings)
    if problem:
        yield Finding("traces", "error", problem, otel_extra.how_to_install())
        return
    refusal = _refusal(settings)
    if refusal:
        how = (
            "start the collector, or correct otel.endpoint and otel.headers; without one, traces are dropped"
        )
        yield Finding("traces", "warn", f"{otel.endpoint}: {refusal}", how)
    else:
        yield Finding("traces", "ok", f"{otel.endpoint} takes traces")


def _refusal(settings: Snapshot) -> str:
    """Why the collector does not take a request without any span; "" if it does."""
    otel = settings.otel
    headers = {name: value.reveal() for name, value in otel.headers.items()}
    request = urllib.request.Request(  # noqa: S310 - http or https: see OtelSection
        otel.url, b"", headers | {"Content-Type": "application/x-protobuf"}, method="POST"
    )
    try:
        trusted = tls.context("otel", otel) if otel.ca_file else None
        with urllib.request.urlopen(request, timeout=TIMEOUT_S, context=trusted):  # noqa: S310
            return ""
    except (OSError, http_client.HTTPException) as error:
        return str(getattr(error, "reason", "") or error)


# ----------------------------------------------------------------------------------------- what is in etcd


def templates(found: Installation) -> Iterator[Finding]:
    """Documents and declarations that cannot be read or used."""
    named = sorted(found.known.world.problems.values())
    for problem in named:
        yield Finding("etcd values", "error", problem, "mend or delete that key")
    broken = 0
    for entry in found.store.page(keys.TEMPLATES, limit=100_000).entries:
        problem = template_problem(entry.key, entry.value)
        broken += bool(problem)
        if problem and problem not in named:
            yield Finding("template", "error", problem, "correct the document; it is taken up at once")
    if not broken:
        yield Finding("templates", "ok", "every template document can be compiled")


def state(found: Installation) -> Iterator[Finding]:
    """What is paused, what failed, and what is tried again and again."""
    for pause in found.known.pauses():
        text = f"{pause.scope} is paused by {pause.by}"
        yield Finding("paused", "info", text, f"`{resume(pause.scope)}` lets it go on")
    status = {ref: found.known.status(ref) for ref in found.known.refs()}
    again = [ref for ref, one in status.items() if one.stage == "backing-off"]
    if again:
        first = status[again[0]]
        is_ = "resource is" if len(again) == 1 else "resources are"
        text = f"{len(again)} {is_} tried again, for instance {again[0]}: {first.reason}"
        yield Finding("resources", "warn", text, remedy(first.reason))
    failed = [ref for ref, one in status.items() if one.stage == "failed"]
    if failed:
        is_ = "resource is" if len(failed) == 1 else "resources are"
        text = f"{len(failed)} {is_} failed, for instance {failed[0]}"
        yield Finding("resources", "warn", text, "`status --stage failed`, `explain RESOURCE`, then `retry`")


# ------------------------------------------------------------------------------------------ Heat and SNMP


def heat(settings: Snapshot) -> Iterator[Finding]:
    """Whether Heat answers, and lets us in."""
    if settings.heat.source == "embedded":
        yield Finding("heat", "info", "none is configured: `python run.py` brings its own")
        return
    began = time.monotonic()
    try:
        stacks = wiring.heat(settings)
        stacks.in_progress("" if settings.heat.cloud else settings.heat.admin_tenant)
    except PortError as error:
        away = error.failure.kind in AWAY
        how = "start Heat, or correct the section [heat] of the settings" if away else remedy(str(error))
        yield Finding("heat", "error", str(error), how.removesuffix(" (`doctor`)"))
        return
    except (OSError, ValueError) as error:
        yield Finding("heat", "error", str(error), "correct the section [heat] of the settings")
        return
    took = time.monotonic() - began
    where = without_login(settings.heat.endpoint) or settings.heat.cloud or "OS_* variables"
    yield Finding("heat", "ok", f"{where} answers and lets us in (a list of stacks takes {took:.2f} s)")


def devices(found: Installation) -> Iterator[Finding]:
    """Whether the monitored devices answer to SNMP."""
    world, snmp = found.known.world, found.settings.snmp
    targets: dict[str, Target] = {}
    for ref in world.targeted():
        registered = world.targets(ref)
        for target in registered[1] if registered is not None else ():
            targets.setdefault(target.device, target)
    if not targets:
        yield Finding("devices", "info", "no device is monitored")
        return
    chosen = dict(sorted(targets.items())[:DEVICES_MAX])
    agent = wiring.snmp(found.settings)

    async def ask(target: Target) -> str:
        host, port = host_and_port(snmp.devices.get(target.host, target.host), snmp.port)
        address = DeviceAddress(host, port, target.community_name)
        try:
            await agent.get(address, [SYS_UPTIME])
        except PortError as error:
            return str(error)
        return ""

    async def ask_all() -> list[str]:
        try:
            return await asyncio.gather(*(ask(target) for target in chosen.values()))
        finally:
            agent.close()

    answers = asyncio.run(ask_all())
    silent = [(target, answer) for target, answer in zip(chosen.values(), answers, strict=True) if answer]
    for target, answer in silent:
        how = "look at cabling, access lists, the community's name and snmp.devices"
        name = target.community_name
        listed = name in snmp.communities or name in snmp.users  # any other is the community itself: a secret
        where = f"{target.host} ({name})" if listed else target.host
        yield Finding("device", "warn", f"{where}: {answer}", how)
    if len(silent) < len(chosen):
        yield Finding("devices", "ok", f"{len(chosen) - len(silent)} of {len(chosen)} devices answer")
