"""YAML files written by people, read strictly.

Guarantees: a key that stands twice in one table is an error with its line, as is anything that is not YAML.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml


class DocumentError(ValueError):
    """A file of the configuration cannot be used. The text names the file and the place in it."""


#: libyaml's parser where PyYAML was built with it: ten times faster, which every start and every command feels.
_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_BASE):  # type: ignore[misc]  # the base is chosen at run time
    """SafeLoader that refuses what YAML forbids and PyYAML lets pass: a repeated key."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[str] = set()
    for key, _ in node.value:
        if key.value in seen:
            raise yaml.constructor.ConstructorError(None, None, f"repeated key {key.value!r}", key.start_mark)
        seen.add(key.value)
    made: dict[Any, Any] = loader.construct_mapping(node, deep=True)
    return made


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_yaml(path: Path) -> Any:
    """The value that the file holds. Raises DocumentError."""
    text = ""
    try:
        text = path.read_text(encoding="utf-8")
        return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise DocumentError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DocumentError(f"{path}: not UTF-8 at byte {error.start}") from error
    except yaml.MarkedYAMLError as error:
        raise DocumentError(f"{path}{_line(error, text)}: not YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise DocumentError(f"{path}: not YAML: {error}") from error


def _line(error: yaml.MarkedYAMLError, text: str) -> str:
    """Where it is; libyaml finds what ends too early on the line after the last."""
    if error.problem_mark is None:
        return ""
    last = text.rstrip().count("\n")
    return f":{min(error.problem_mark.line, last) + 1}"
