"""Whether a template document can be used, told before anybody uses it.

Guarantees: what is refused here is what every resource of the template would fail with. Renders nothing: what a
template does with the values of a resource is told by `plan`.
"""

from __future__ import annotations

from actors.core import keys
from actors.core.plan_view import compile_template


def template_problem(key: str, value: bytes) -> str:
    """What keeps the document from being used, with its key: document, mappings or text; "" if nothing does."""
    try:
        template = keys.decode_template(key, value, 0)
    except keys.BadValue as error:
        return str(error)
    from actors.template_engine import syntax_error  # Jinja2 is slow to load, and most commands need none

    problem = compile_template(template).error or syntax_error(template.source)
    return f"{key}: {problem}" if problem else ""
