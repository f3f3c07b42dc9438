"""The table of monitor types from `monitor_types.yaml`, with the rows of another file of that form over it.

Guarantees: what `load_monitor_types` returns is complete; else one DocumentError that names file, type and member.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from actors.core.monitor_types import BadMonitorType, MonitorType, parse_types
from config.documents import DocumentError, read_yaml

DEFAULT_FILE: Final = Path(__file__).with_name("monitor_types.yaml")


def load_monitor_types(
    more: Path | None = None,
    intervals: Mapping[str, float] | None = None,
    intervals_active: Mapping[str, float] | None = None,
) -> dict[str, MonitorType]:
    """The table; rows of the file `more` replace those of the same name. Raises DocumentError.

    `intervals`, `intervals_active`: type → seconds between looks, once it is settled and until then.
    """
    types: dict[str, MonitorType] = {}
    for path in (DEFAULT_FILE, more):
        if path is None:
            continue
        try:
            types |= parse_types(read_yaml(path))
        except BadMonitorType as error:
            raise DocumentError(f"{path}: {error}") from error
    for name, seconds in _known("intervals", intervals, types):
        types[name] = replace(types[name], interval_s=seconds)
    for name, seconds in _known("intervals_active", intervals_active, types):
        types[name] = replace(types[name], retry_s=seconds)
    return types


def _known(
    setting: str, wanted: Mapping[str, float] | None, types: Mapping[str, MonitorType]
) -> Iterable[tuple[str, float]]:
    for name in wanted or {}:
        if name not in types:
            raise DocumentError(f"snmp.{setting}: no such monitor type: {name!r}")
    return (wanted or {}).items()
