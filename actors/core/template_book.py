"""The template documents that stand in etcd, each read once.

Guarantees: a document that cannot be read does not undo what was read under its id before; where nothing was, it is
still a template, which refuses whoever names it: what has a document is never taken for what needs no work.
"""

from __future__ import annotations

from collections.abc import Iterable

from actors.core import keys
from actors.core.keys import BadValue
from actors.core.model import Handler, Template
from actors.core.plan import CompiledTemplate, compile_template


class TemplateBook:
    """Templates by id."""

    def __init__(self) -> None:
        self._found: dict[str, CompiledTemplate] = {}

    def put(self, key: str, value: bytes, revision: int) -> CompiledTemplate:
        """Take over one document. Raises BadValue, naming the key, for one that cannot be read."""
        try:
            template = keys.decode_template(key, value, revision)
        except BadValue as error:
            name = key.removeprefix(keys.TEMPLATES)
            known = self._found.get(name)
            if name and "/" not in name and (known is None or not known.readable):
                nothing = Template(name, Handler.HEAT, {}, "", revision)
                self._found[name] = CompiledTemplate(nothing, {}, str(error), readable=False)
            raise
        compiled = self._found[template.id] = compile_template(template)
        return compiled

    def drop(self, template_id: str) -> None:
        """Its document is gone."""
        self._found.pop(template_id, None)

    def get(self, template_id: str) -> CompiledTemplate | None:
        """The newest template of that id."""
        return self._found.get(template_id)

    def ids(self) -> Iterable[str]:
        """All ids."""
        return self._found

    @property
    def monitoring(self) -> bool:
        """Whether there are any for monitoring jobs."""
        return any(one.template.handler is Handler.MONITORING for one in self._found.values())
