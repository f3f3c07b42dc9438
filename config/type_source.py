"""Where the resource types come from: our own YAML, or Gohan's schema documents by file or HTTP (contract 10.23).

Guarantees: a source that cannot be used is one TypesError that names it; an HTTP source that does not answer is
asked again after 1, 2, 4, 8 and then every 16 s (contract 2.1), as long as `patience_s` allows.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from actors.core.keys import TypeTable
from actors.core.model import Json
from config.gohan import SchemaError, load_schemas, with_monitoring
from config.sections import TypesSection
from config.types import TypesError, load_types

#: Answers larger than this are not schemas.
BYTES_MAX = 64 * 1024 * 1024
REQUEST_TIMEOUT_S = 10.0


def types_of(section: TypesSection, say: Callable[[str], None] = print) -> TypeTable:
    """The table of all resource types. Raises TypesError; blocks while an HTTP source does not answer."""
    if not section.gohan:
        return load_types(section.file) if section.file else load_types()
    source = section.gohan
    document = _fetch(source, section.patience_s, say) if "://" in source else _read(Path(source))
    try:
        types = load_schemas(document)
    except SchemaError as error:
        raise TypesError(f"{source}: {error}") from error
    return with_monitoring(types)


def _read(path: Path) -> Json:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TypesError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise TypesError(f"{path}: not JSON: {error}") from error


def _fetch(url: str, patience_s: float, say: Callable[[str], None]) -> Json:
    if not url.startswith(("http://", "https://")):
        raise TypesError(f"{url}: only http and https addresses can be fetched")
    deadline, pause = time.monotonic() + patience_s, 1.0
    while True:
        try:
            with urllib.request.urlopen(url, timeout=REQUEST_TIMEOUT_S) as answer:  # noqa: S310 - checked above
                return json.loads(answer.read(BYTES_MAX))
        except ValueError as error:
            raise TypesError(f"{url}: not JSON: {error}") from error
        except (OSError, urllib.error.URLError) as error:
            if time.monotonic() + pause > deadline:
                raise TypesError(f"{url}: no schemas within {patience_s:g} s: {error}") from error
            say(f"schemas from {url}: {error}; again in {pause:g} s")
        time.sleep(pause)
        pause = min(pause * 2, 16.0)
