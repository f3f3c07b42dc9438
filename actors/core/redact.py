"""Keeping secrets out of texts that people and logs will see.

Guarantees: every value of a secret parameter is replaced, also where it was quoted or escaped as JSON or
Python text. A parameter is secret if its name says so or its template hides it.
Does not find secrets that it was not told of; one of up to three characters is masked only as a whole word.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from actors.core.model import Json, JsonObject

MASK = "***"
_SECRET_NAME = re.compile(r"passw|secret|token|community|credential|private_key", re.IGNORECASE)
_LOGIN = re.compile(r"(?<=://)[^/\s]*@")
#: Shorter values are common words and numbers: they are masked only as a whole word.
_SHORT = 4


def is_secret_name(name: str) -> bool:
    """Whether a parameter of that name is treated as secret."""
    return _SECRET_NAME.search(name) is not None


def secret_values(template: JsonObject, parameters: JsonObject) -> frozenset[str]:
    """The texts that must not be shown: values and defaults of the secret parameters of a HOT document."""
    declared = template.get("parameters")
    schemas: JsonObject = declared if isinstance(declared, Mapping) else {}
    found: set[str] = set()
    for name in {*schemas, *parameters}:
        schema = schemas.get(name)
        schema = schema if isinstance(schema, Mapping) else {}
        if is_secret_name(name) or str(schema.get("hidden", False)).lower() in ("true", "1", "yes", "on"):
            found.update(_texts(parameters.get(name)))
            found.update(_texts(schema.get("default")))
    return frozenset(found)


def _texts(value: Json) -> Iterator[str]:
    """All leaves of a value, as text. Empty text, null and booleans keep no secret."""
    if isinstance(value, Mapping):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _texts(part)
    elif value not in (None, "") and not isinstance(value, bool):
        yield str(value)


def redact(text: str, secrets: frozenset[str]) -> str:
    """`text` with each of `secrets` masked."""
    forms = {form for secret in secrets for form in (secret, repr(secret)[1:-1], json.dumps(secret)[1:-1])}
    for form in sorted(forms, key=len, reverse=True):
        if len(form) < _SHORT:
            text = re.sub(rf"(?<!\w){re.escape(form)}(?!\w)", MASK, text)
        else:
            text = text.replace(form, MASK)
    return text


def without_login(text: str) -> str:
    """`text` with what stands before the host in addresses masked: `http://user:password@host` logs in."""
    return _LOGIN.sub(f"{MASK}@", text)
