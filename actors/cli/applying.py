"""`apply FILE…`: declare, as an API server would, so that people can work without one.

Guarantees: versions are those an API server would give (`core.keys.declare`): 1 at first, one more for every
change, nothing for no change; a deletion is the mark, with the next version; each document is written only if nobody
changed it meanwhile, in the order of the files, and told as soon as that is done; what etcd refuses, and a template
that cannot be compiled, is told with its file and does not hold up the rest. `--wait` ends when every written version
has its outcome, and stands an etcd that is away for a while.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actors.cli import output
from actors.cli.context import Context
from actors.cli.reach import SILENCE, connected
from actors.cli.template_check import template_problem
from actors.core import keys
from actors.core.declaring import declare
from actors.core.errors import ErrorClass, PortError
from actors.core.keys import TypeTable
from actors.core.members import BadValue
from actors.core.model import Ref
from actors.core.remedies import remedy
from actors.ports import Guard, Put, Store, WriteSet
from config.examples import Document, read_documents
from config.type_source import types_of

POLL_S = 0.25
#: How often a document is tried again when somebody else writes it at the same time.
TRIES = 5


@dataclass(slots=True)
class Written:
    """One document: the version that was written, or 0 for none; `outcome` and `error` once there are any."""

    key: str
    version: int
    change: str
    outcome: str = ""
    error: str = ""


def seconds(text: str) -> float:
    """How long to wait. Raises ValueError."""
    timeout_s = float(text)
    if not 0 <= timeout_s < math.inf:
        raise ValueError(text)
    return timeout_s


def add_commands(_parser: argparse.ArgumentParser, commands: Any) -> None:
    """The command."""
    command = output.with_json(
        commands.add_parser("apply", help="write declarations and templates, as an API server")
    )
    command.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="YAML or JSON, one document or a list"
    )
    command.add_argument("--delete", action="store_true", help="mark everything in the files for deletion")
    command.add_argument("--wait", action="store_true", help="until every written version has its outcome")
    command.add_argument("--timeout", type=seconds, default=600.0, metavar="S", help="how long to wait (600)")
    command.set_defaults(run=_apply)


def _apply(context: Context) -> int:
    parsed = context.parsed
    types = types_of(context.settings.types, output.fail)
    documents = [
        one._replace(delete=one.delete or (parsed.delete and not _is_template(one.key)))
        for one in read_documents(parsed.files, types)
    ]
    written: list[Written] = []
    with connected(context) as (_, store, _):
        try:
            _write_all(store, documents, written, quiet=parsed.json)
        except PortError:
            output.fail(
                f"{documents[len(written)].where}: here it ends, {len(written)} of {len(documents)} are done"
            )
            if parsed.json:
                _emit(written)
            raise
        late = _wait(store, types, written, parsed.timeout, quiet=parsed.json) if parsed.wait else False
    if parsed.json:
        _emit(written)
    failed = late or any(one.error or one.change.startswith("not") for one in written)
    return int(failed)


def _is_template(key: str) -> bool:
    return key.startswith(keys.TEMPLATES)


def _emit(written: list[Written]) -> None:
    output.emit_json([{name: getattr(one, name) for name in Written.__slots__} for one in written])


def _write_all(store: Store, documents: list[Document], written: list[Written], *, quiet: bool) -> None:
    """One after the other. Raises PortError if nobody answers; in the end OSError, if what was done cannot be told."""
    untold: OSError | None = None
    for where, key, value, delete in documents:
        try:
            one = _write(store, key, value, delete=delete)
        except BadValue as error:
            one = Written(key, 0, f"not written: {error}")
        except PortError as error:
            if error.failure.error_class in SILENCE:
                raise
            one = Written(key, 0, f"not written: {error}: {remedy(str(error))}")
        written.append(one)
        try:
            if one.change.startswith("not"):
                output.fail(f"{where}: {one.key} {one.change}")
            elif not (quiet or untold):
                output.say(f"{one.key} {one.change}")
        except OSError as error:  # `apply FILE | head` declares all that the file holds
            untold = error
    if untold is not None:
        raise untold


def _write(store: Store, key: str, wanted: bytes, *, delete: bool) -> Written:
    """One document. Raises PortError, BadValue."""
    if _is_template(key) and (problem := template_problem(key, wanted)):
        return Written(key, 0, f"not written: {problem.removeprefix(f'{key}: ')}")
    for _ in range(TRIES):
        present = store.read([key])[1].get(key)
        new = _marked(key, present.value) if delete and present is not None else None
        if delete and new is None:
            return Written(key, 0, "is not declared" if present is None else "is marked already")
        if not delete:
            new = declare(key, present.value if present is not None else None, wanted)
        if new is None:
            return Written(key, 0, "unchanged")
        guard = Guard(key, present.mod_revision if present is not None else 0)
        if store.commit([WriteSet((Put(key, new),), (guard,))]).accepted[0]:
            version = int(keys.decode_object(key, new)["version"])
            return Written(key, version, f"version {version}{', marked for deletion' if delete else ''}")
    return Written(key, 0, f"not written: somebody else changed it {TRIES} times meanwhile")


def _marked(key: str, present: bytes) -> bytes | None:
    """The declaration with the mark and the next version; None if it is marked."""
    value = keys.decode_object(key, present)
    if value.get("marked_for_deletion"):
        return None
    declared = keys.decode_declared(key, present, Ref("", ""), 0)
    return keys.encode_declared(declared.body, declared.version + 1, marked_for_deletion=True)


def _wait(store: Store, types: TypeTable, written: list[Written], timeout_s: float, *, quiet: bool) -> bool:
    """Follow each version to its outcome; True if one is missing in the end."""
    waiting = {}
    for one in written:
        ref = types.ref(one.key, keys.CONFIG)
        if one.version and ref is not None:
            waiting[keys.STATE + types.path(ref)] = one
    began = time.monotonic()
    while waiting and time.monotonic() - began < timeout_s:
        try:
            found = store.read(list(waiting))[1]
        except PortError as problem:
            if problem.failure.error_class is not ErrorClass.TRANSIENT:
                raise
            found = {}  # etcd elects or restarts: what is declared is not lost by that
        for key, entry in found.items():
            version, error, state = keys.decode_state(key, entry.value)
            one = waiting[key]
            if version < one.version:
                continue
            del waiting[key]
            one.outcome, one.error = state, error
            if not quiet:
                text = f": {error}" if error else ""
                output.say(f"{time.monotonic() - began:7.1f} s  {one.key} {state}{text}")
        if waiting:
            time.sleep(POLL_S)
    for key in waiting:
        output.fail(f"{key}: no outcome within {timeout_s:g} s")
    return bool(waiting)
