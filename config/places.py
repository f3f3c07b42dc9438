"""Where a setting was given, for people: the command line, a variable, or a line of the file.

Guarantees: the deepest part of the setting that can be seen is named; nothing of a value is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PREFIX = "GATEWRIGHT_"


@dataclass(frozen=True, slots=True)
class Where:
    """Finds the place at which a setting was given."""

    overrides: Mapping[str, Any]
    environ: Mapping[str, Any]
    path: Path | None
    text: str

    def of(self, location: tuple[str, ...]) -> str:
        """Words for the place of `section.key.entry`."""
        if has(self.overrides, location):
            return "command line"
        if has(self.environ, location):
            name = "__".join(location[:2]).upper()
            return f"environment {PREFIX}{name}" + ("__*" if len(location) == 1 else "")
        line = self._line(location)
        return f"{self.path}:{line}" if line else str(self.path or "settings")

    def _line(self, location: tuple[str, ...]) -> int:
        """The line of the deepest part of the setting that can be seen in the file; 0 if none."""
        found, depth = 0, 0
        table: tuple[str, ...] = ()
        for number, line in enumerate(self.text.splitlines(), 1):
            header = re.match(r"\s*\[([^\[\]]+)\]", line)
            key = re.match(r"\s*(?:\"([^\"]+)\"|([^\s\"=#]+))\s*=", line)
            if header:
                table = tuple(part.strip(' "') for part in header[1].split("."))
                seen = table
            elif key:
                seen = (*table, key[1]) if key[1] else (*table, *key[2].split("."))
            else:
                continue
            if len(seen) > depth and location[: len(seen)] == seen:
                found, depth = number, len(seen)
        return found


def has(values: Any, location: tuple[str, ...]) -> bool:
    """Whether these values name the setting `section.key` of the location."""
    for part in location[:2]:
        if not isinstance(values, Mapping) or part not in values:
            return False
        values = values[part]
    return True
