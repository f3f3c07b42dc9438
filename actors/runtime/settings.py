"""What every process of one system knows; handed down by fork inside Thespian's capabilities."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from actors.runtime.limits import Limits
from actors.runtime.logs import LogConfig


@dataclass(frozen=True, slots=True)
class Settings:
    """One value per system."""

    KEY: ClassVar[str] = "gatewright"

    log: LogConfig = field(default_factory=LogConfig)
    limits: Limits = field(default_factory=Limits)
