"""Everything that happened to stacks, in Heat's own order: what the Heat server's database remembers of itself.

Guarantees: a trigger inside the database keeps every state of every stack with the time at which it was stored, which
is before Heat's answer; the server knows nothing of it. Reading disturbs nobody.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sim.heat.cache import TemplateCache
from sim.heat.records import Record
from sim.heat_server.journal import Journal

#: The time is in seconds since the epoch, to the millisecond.
_REMEMBER = (
    "BEGIN INSERT INTO history (at, value) VALUES ((julianday('now') - 2440587.5) * 86400.0, NEW.value); END"
)


@dataclass(frozen=True, slots=True)
class Moment:
    """A stack as it was stored at a time."""

    at: float
    record: Record


def prepare(folder: Path) -> None:
    """Make the database of a Heat server that is about to be started for the first time remember everything."""
    Journal(folder).close()
    with contextlib.closing(sqlite3.connect(folder / "heat.sqlite", isolation_level=None)) as database:
        database.execute("CREATE TABLE history (number INTEGER PRIMARY KEY, at REAL, value BLOB)")
        for event in ("INSERT", "UPDATE"):
            database.execute(f"CREATE TRIGGER history_{event} AFTER {event} ON stacks {_REMEMBER}")


class HeatHistory:
    """Reads it, forwards only. `living`: name → id → stack, as of what was read."""

    def __init__(self, folder: Path) -> None:
        self._database = sqlite3.connect(folder / "heat.sqlite", isolation_level=None)
        self._templates = TemplateCache()
        self._read = 0
        self._ahead: list[Moment] = []
        self.living: dict[str, dict[str, Record]] = defaultdict(dict)
        #: name → its moments, for a story
        self.moments: dict[str, list[Moment]] = defaultdict(list)

    def until(self, moment: float) -> Iterator[Moment]:
        """What was stored since the last call and not after `moment`; `living` follows along."""
        if not self._ahead or self._ahead[-1].at <= moment:
            rows = self._database.execute(
                "SELECT number, at, value FROM history WHERE number > ? ORDER BY number", (self._read,)
            )
            for self._read, at, value in rows:
                self._ahead.append(Moment(at, self._templates.record(json.loads(value))))
        while self._ahead and self._ahead[0].at <= moment:
            one = self._ahead.pop(0)
            self.moments[one.record.name].append(one)
            if one.record.deleted is None:
                self.living[one.record.name][one.record.id] = one.record
            else:
                self.living[one.record.name].pop(one.record.id, None)
            yield one

    def close(self) -> None:
        """Close the database."""
        self._database.close()
