"""What every command has: the settings, the services that stand in, and how it ends.

Guarantees: one table of exit codes for all commands.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from config.sections import Snapshot

EXIT_CODES = {
    0: "done; for questions: answered, and nothing is failed",
    1: "something failed, or a resource that was asked for is failed",
    2: "wrong use or settings",
    3: "no such resource, or more than one of that name",
    4: "neither etcd nor a running controller can be reached",
    70: "the system died and could not be restarted",
}


class UsageError(ValueError):
    """An argument that cannot be taken. One line for a person."""


class Services(Protocol):
    """What stands in for what is not configured (`sim.standalone`)."""

    def start(self) -> Snapshot:
        """Start; the settings with addresses filled in."""

    def mend(self) -> None:
        """Restart what died."""

    def stop(self) -> None:
        """End."""

    def control(self, line: str) -> dict[str, Any]:
        """A command for the embedded devices of a running system."""


MakeServices = Callable[[Snapshot, Callable[[str], None]], Services]


@dataclass(frozen=True, slots=True)
class Context:
    """One call of the command line. `settings` are as configured; a running system may have filled in more."""

    settings: Snapshot
    make_services: MakeServices
    parsed: argparse.Namespace
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def overrides_of(parsed: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """The settings that the command line gives."""
    given: dict[str, dict[str, Any]] = {}
    if parsed.state_dir:
        given["paths"] = {"state_dir": parsed.state_dir.absolute()}
    if getattr(parsed, "heat", None):
        given["standalone"] = {"heat": parsed.heat}
    return given
