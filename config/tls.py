"""The certificates that the settings name.

Guarantees: what cannot be used (no such file, not ours to read, not PEM, a key of another certificate) is one
SettingsError that names the setting, before anything connects with it.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from config.sections import Snapshot
from config.settings import SettingsError

_SECTIONS = ("etcd", "heat", "otel")


def context(name: str, section: Any) -> ssl.SSLContext:
    """A client's: whom a section of the settings trusts, and who it says that we are. Raises SettingsError."""
    cert, key = getattr(section, "cert_file", None), getattr(section, "key_file", None)
    with _named(f"{name}.ca_file", section.ca_file):
        made = ssl.create_default_context(cafile=section.ca_file)
    with _named(f"{name}.key_file", key):
        if key is not None:
            key.read_bytes()
    with _named(f"{name}.cert_file", cert):
        if cert is not None:
            # nobody is there to be asked for the password of a key
            made.load_cert_chain(cert, key, lambda: "")
    return made


def check(settings: Snapshot, *names: str) -> None:
    """Raises SettingsError for the first file that cannot be used; of all sections, or of those."""
    for name in names or _SECTIONS:
        section = getattr(settings, name)
        if section.ca_file is not None or getattr(section, "cert_file", None) is not None:
            context(name, section)


@contextmanager
def _named(setting: str, file: Path | None) -> Iterator[None]:
    try:
        yield
    except OSError as error:  # ssl.SSLError is one
        reason = getattr(error, "reason", None) or error.strerror or error
        raise SettingsError(f"{setting}: {file} cannot be used: {reason}") from None
