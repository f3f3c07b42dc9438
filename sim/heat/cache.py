"""Templates, read and checked once, and shared by all stacks that use the same document."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from weakref import WeakValueDictionary

from sim.heat.hot import Template, parse
from sim.heat.parameters import JsonObject
from sim.heat.plan import check_types
from sim.heat.records import Record, from_json

#: Templates kept although no stack uses them at present.
KEPT = 256


class TemplateCache:
    """Documents by content. A template lives as long as a stack uses it, or it was used lately."""

    def __init__(self) -> None:
        self._known: WeakValueDictionary[bytes, Template] = WeakValueDictionary()
        self._lately: deque[Template] = deque(maxlen=KEPT)

    def read(self, document: JsonObject) -> Template:
        """The checked template. Raises HeatError."""
        text = json.dumps(document, default=str, sort_keys=True)
        key = hashlib.sha256(text.encode()).digest()
        found = self._known.get(key)
        if found is None:
            # A copy through JSON: nobody outside may change what stacks share.
            found = parse(json.loads(json.dumps(document, default=str)))
            check_types(found)
            self._known[key] = found
            self._lately.append(found)
        return found

    def record(self, value: JsonObject) -> Record:
        """A stack from its form on disk."""
        return from_json(value, self.read)
