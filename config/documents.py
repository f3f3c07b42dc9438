"""YAML files written by people, read strictly.

Guarantees: a key that stands twice in one table is an error with its line, as is anything that is not YAML. How
deep a file is and what its aliases multiply to is bounded. YAML says more than JSON does: who needs JSON asks
`not_json`.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Final

import yaml

#: Lists and tables within each other; LibYAML calls itself for each, and tens of thousands end the process.
MAX_DEPTH: Final = 200
#: What aliases may make of a file: nine levels of ten are a billion.
MAX_NODES: Final = 1_000_000


class DocumentError(ValueError):
    """A file of the configuration cannot be used. The text names the file and the place in it."""


#: libyaml's parser where PyYAML was built with it: ten times faster, which every start and every command feels.
_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_BASE):  # type: ignore[misc]  # the base is chosen at run time
    """SafeLoader that refuses what YAML forbids and PyYAML lets pass: a repeated key."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """As PyYAML's, but what `<<` merges does not multiply without end."""
        before = len(node.value)
        super().flatten_mapping(node)
        self._merged = getattr(self, "_merged", 0) + len(node.value) - before
        if self._merged > MAX_NODES:
            raise yaml.YAMLError(f"its aliases make more than {MAX_NODES:,} values of it")


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[str] = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue  # no list or table can be a key: PyYAML says so
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
        _check_depth(text)
        value = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
        if "*" in text and "&" in text:
            _check_size(value)
        return value
    except OSError as error:
        raise DocumentError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DocumentError(f"{path}: not UTF-8 at byte {error.start}") from error
    except yaml.MarkedYAMLError as error:
        raise DocumentError(f"{path}{_line(error, text)}: not YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise DocumentError(f"{path}: not YAML: {error}") from error
    except Exception as error:
        # `!!int ""` is an IndexError, the 45th of May a ValueError, and there are more
        raise DocumentError(f"{path}: not YAML: {error}") from error


def _check_depth(text: str) -> None:
    """Look at the events first where there are enough signs for so many levels, or so far a margin."""
    if sum(map(text.count, "[{-?")) < MAX_DEPTH and " " * MAX_DEPTH not in text:
        return
    depth = 0
    for event in yaml.parse(text, _Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                why = f"more than {MAX_DEPTH} lists and tables within each other"
                mark: Any = event.start_mark  # PyYAML's own marks are of two kinds
                raise yaml.composer.ComposerError(None, None, why, mark)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _check_size(value: Any) -> None:
    """Count the values as they would be written: an alias counts each time it is used."""
    left, waiting = MAX_NODES, [value]
    while waiting:
        children = [child for _, child in _parts(waiting.pop())]
        left -= 1 + len(children)
        if left < 0:
            raise yaml.YAMLError(f"its aliases make more than {MAX_NODES:,} values of it")
        waiting.extend(children)


def not_json(value: Any, depth_max: int) -> str:
    """Where in a value of YAML is what JSON cannot say, and what it is; "" if it is JSON."""
    waiting: list[tuple[str, int, Any]] = [("", 0, value)]
    while waiting:
        place, depth, part = waiting.pop()
        why = _no_json(part)
        if not why and depth > depth_max and isinstance(part, list | dict):
            place, why = place[:40] + "…", f"more than {depth_max} lists and tables within each other"
        if why:
            return f"{place}: {why}" if place else why
        waiting.extend((f"{place}.{key}".lstrip("."), depth + 1, child) for key, child in _parts(part))
    return ""


def _no_json(part: Any) -> str:
    if isinstance(part, dict):
        wrong = [key for key in part if not isinstance(key, str)]
        return f"the key {wrong[0]!s} is no text: put it in quotes" if wrong else ""
    if isinstance(part, str):
        return "" if part.isascii() or _is_unicode(part) else "half of a character (a surrogate)"
    if part is None or isinstance(part, bool | int | list):
        return ""
    if isinstance(part, float):
        return "" if math.isfinite(part) else f"{part} is no number in JSON"
    kinds = {"date": "a date", "datetime": "a date", "bytes": "binary data", "set": "a set"}
    kind = type(part).__name__
    return f"{kinds.get(kind, kind)} is nothing that JSON has: write it as text, in quotes"


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _parts(value: Any) -> list[tuple[Any, Any]]:
    if isinstance(value, dict):
        return list(value.items())
    return list(enumerate(value)) if isinstance(value, list) else []


def _line(error: yaml.MarkedYAMLError, text: str) -> str:
    """Where it is; libyaml finds what ends too early on the line after the last."""
    if error.problem_mark is None:
        return ""
    last = text.rstrip().count("\n")
    return f":{min(error.problem_mark.line, last) + 1}"
