"""`config check`, `config show` and `config reference`: the settings, seen from outside.

Guarantees: a wrong setting is named with file, line, key and what is allowed, and is exit code 2; secrets are
masked.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from rich.table import Table

from actors.cli import output
from actors.cli.context import Context
from config import effective, otel_extra, tls
from config.type_source import types_of


def add_commands(_parser: argparse.ArgumentParser, commands: Any) -> None:
    """`config`."""
    config = commands.add_parser("config", help="check, show or describe the settings")
    kinds = config.add_subparsers(dest="what", metavar="check|show|reference", required=True)
    check = output.with_json(
        kinds.add_parser("check", help="whether they can be taken; names file, line, key, allowed values")
    )
    check.set_defaults(run=_check)
    show = output.with_json(
        kinds.add_parser("show", help="what differs from the defaults, and where it comes from")
    )
    show.add_argument("--effective", action="store_true", help="every setting, defaults too")
    show.set_defaults(run=_show)
    reference = output.with_json(
        kinds.add_parser("reference", help="every setting: type, default, range, meaning")
    )
    reference.set_defaults(run=_reference)


def _check(context: Context) -> int:
    types = types_of(context.settings.types, output.fail)  # what the settings point to must be usable too
    otel_extra.check(context.settings)
    tls.check(context.settings)
    context.settings.monitor_types()
    origin, number = context.settings.origin, len(list(types))
    if context.parsed.json:
        output.emit_json({"origin": origin, "types": number})
    else:
        print(f"settings from {origin} can be taken; {number} resource types")
    return 0


def _show(context: Context) -> int:
    parsed = context.parsed
    rows = effective.effective(context.settings, parsed.config, context.overrides)
    if not parsed.effective:
        rows = [row for row in rows if row.origin != "default"]
    if parsed.json:
        output.emit_json({"settings": [asdict(row) for row in rows]})
        return 0
    table = Table(box=None, pad_edge=False)
    for heading in ("setting", "value", "from"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(f"{row.section}.{row.key}", row.value, row.origin)
    output.console().print(table if rows else "everything is as by default; --effective shows it")
    return 0


def _reference(context: Context) -> int:
    described = effective.reference()
    if context.parsed.json:
        output.emit_json({"settings": [asdict(row) for row in described]})
    else:
        print(effective.markdown(described), end="")
    return 0
