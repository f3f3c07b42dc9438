"""The stacks on disk: one sqlite table, one row per stack.

Guarantees: what `save` returned from survives the death of the process (not that of the machine). The file
holds parameters in clear and is therefore readable by its owner only.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import orjson

from sim.heat.engine import DELETED_KEPT
from sim.heat.parameters import JsonObject
from sim.heat.records import Record, to_json


class Journal:
    """The table of stacks in `folder`, which is made if it is not there."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "heat.sqlite"
        path.touch(mode=0o600)
        self._database = sqlite3.connect(path, isolation_level=None)
        for statement in (
            "PRAGMA journal_mode=WAL",
            "PRAGMA synchronous=OFF",
            "CREATE TABLE IF NOT EXISTS stacks (id TEXT PRIMARY KEY, created REAL, deleted REAL, value BLOB)",
            "CREATE INDEX IF NOT EXISTS by_deletion ON stacks (deleted) WHERE deleted IS NOT NULL",
        ):
            self._database.execute(statement)
        self._prune()

    def load(self) -> Iterator[JsonObject]:
        """All stacks, oldest first."""
        for (value,) in self._database.execute("SELECT value FROM stacks ORDER BY created, rowid"):
            yield orjson.loads(value)

    def save(self, record: Record) -> None:
        """Write one stack."""
        self._database.execute(
            "INSERT INTO stacks VALUES (?, ?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET deleted = excluded.deleted, value = excluded.value",
            (record.id, record.created, record.deleted, orjson.dumps(to_json(record))),
        )

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _prune(self) -> None:
        """Forget all but the stacks that were deleted last."""
        self._database.execute(
            "DELETE FROM stacks WHERE deleted IS NOT NULL AND id NOT IN "
            "(SELECT id FROM stacks WHERE deleted IS NOT NULL ORDER BY deleted DESC LIMIT ?)",
            (DELETED_KEPT,),
        )
