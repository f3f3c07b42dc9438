"""The packages that traces need, which are no part of the ordinary installation.

Guarantees: looks at what is recorded as installed, so nothing of OpenTelemetry is imported to find out; where
`otel.endpoint` is set and they are missing, one line says what to do.
"""

from __future__ import annotations

import os
import sys
import sysconfig

from config.bootstrap import OTEL_LOCK, ROOT, lacking_extra
from config.sections import Snapshot
from config.settings import SettingsError


def how_to_install() -> str:
    """The command that installs them beside what is there, from the hashed lock file; where we may not, who may."""
    command = f"{sys.executable} -m pip install --require-hashes --no-deps -r {ROOT / OTEL_LOCK}"
    if os.access(sysconfig.get_path("purelib"), os.W_OK):
        return command
    return f"{command} (as the owner of {sys.prefix}; an image is built with --build-arg TRACES=1)"


def missing(settings: Snapshot) -> str:
    """What is missing that the settings need; "" if nothing is."""
    lacks = lacking_extra("otel") if settings.otel.endpoint else []
    return f"otel.endpoint is set, and needs {lacks[0]}, which is not installed" if lacks else ""


def check(settings: Snapshot) -> None:
    """Raises SettingsError with one line if the settings need what is not installed."""
    problem = missing(settings)
    if problem:
        raise SettingsError(f"{problem}; to install it: {how_to_install()}")
