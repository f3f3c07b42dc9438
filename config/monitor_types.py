"""The table of monitor types from `monitor_types.yaml`, with the rows of another file of that form over it.

Guarantees: what `load_monitor_types` returns is complete; else one DocumentError that names file, type and member.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from actors.core.monitor_types import BadMonitorType, MonitorType, parse_types
from config.documents import DocumentError, read_yaml

DEFAULT_FILE: Final = Path(__file__).with_name("monitor_types.yaml")


def load_monitor_types(more: Path | None = None) -> dict[str, MonitorType]:
    """The table; rows of the file `more` replace those of the same name. Raises DocumentError."""
    types: dict[str, MonitorType] = {}
    for path in (DEFAULT_FILE, more):
        if path is None:
            continue
        try:
            types |= parse_types(read_yaml(path))
        except BadMonitorType as error:
            raise DocumentError(f"{path}: {error}") from error
    return types
