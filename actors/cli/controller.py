"""`controller`: one of several controllers on an etcd and a Heat that are there already.

Guarantees: nothing is started that a controller does not consist of, and nothing is declared; without a configured
etcd and Heat it is refused. Controllers find and replace each other through etcd alone. Each needs a `--state-dir`
of its own on a host that runs several, and is refused without.
"""

from __future__ import annotations

import argparse
from typing import IO, Any

from actors.cli import rendezvous
from actors.cli.context import Context
from config.sections import Snapshot
from config.settings import SettingsError


class NoServices:
    """Everything is configured: nothing to start, to mend or to stop. The state folder is ours meanwhile."""

    def __init__(self, settings: Snapshot) -> None:
        self._settings = settings
        self._claim: IO[str] | None = None

    def start(self) -> Snapshot:
        """The settings as they are. Raises TakenError, SettingsError."""
        self._claim = rendezvous.claim(self._settings.paths.state_dir)
        return self._settings

    def mend(self) -> None:
        """Nothing died that was ours."""

    def stop(self) -> None:
        """Nothing is ours but the folder."""
        if self._claim is not None:
            self._claim.close()
            self._claim = None

    def control(self, line: str) -> dict[str, Any]:
        """There are no embedded devices."""
        return {"ok": False, "error": f"a controller has no embedded devices: {line}"}


def add_commands(_parser: argparse.ArgumentParser, commands: Any) -> None:
    """`controller`."""
    controller = commands.add_parser(
        "controller", help="be one of several controllers; etcd and Heat must be configured"
    )
    controller.set_defaults(run=_controller)


def _controller(context: Context) -> int:
    settings = context.settings
    if not settings.etcd.endpoints:
        raise SettingsError("a controller needs an etcd: set etcd.endpoints (GATEWRIGHT_ETCD__ENDPOINTS)")
    if settings.heat.source == "embedded":
        raise SettingsError("a controller needs a Heat: set heat.endpoint, heat.cloud or OS_* variables")
    from actors.cli.main_job import Run

    return Run(settings, lambda known, _say: NoServices(known), context.parsed).run()
