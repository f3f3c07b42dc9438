"""Jinja2 in a sandbox, with everything bounded that a template can make large (contract 3.5).

Guarantees: a template reaches nothing but its values; undefined names are empty and false; each source is
compiled once; processor time, iterations, ranges, multiplications and output are limited. Errors name template and
line, never a value. Does not bound the memory of a template that is built to exhaust it by doubling texts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Final

from jinja2 import DictLoader, Template, TemplateError, TemplateSyntaxError, nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from actors.core.limiting import Interrupted, TookTooLong
from actors.core.model import Json, JsonObject
from actors.runtime import alarm

#: Seconds of processor time that one rendering may take, compilation included.
RENDER_MAX_S: Final = 2.0
#: Iterations of all loops of one rendering together, characters of the result, items of one range.
MAX_ITERATIONS: Final = 100_000
MAX_OUTPUT: Final = 1_000_000
MAX_RANGE: Final = 10_000
MAX_FACTOR: Final = 10_000
_TICK: Final = "_tick"
_FILE: Final = "<template>"


class RenderError(Exception):
    """A template or a value that cannot be rendered. `template` is its id, `line` counts from 1 (or None)."""

    def __init__(self, template: str, text: str, line: int | None = None) -> None:
        super().__init__(template, text, line)
        self.template = template
        self.text = text
        self.line = line

    def __str__(self) -> str:
        where = f"template {self.template!r}" if self.template else ""
        where += f"{', ' if where else ''}line {self.line}" if self.line is not None else ""
        return f"{where}: {self.text}" if where else self.text


class LimitError(SecurityError):
    """A template went beyond a limit."""


def syntax_error(source: str) -> str:
    """What keeps a template from being compiled, with its line; "" if nothing does."""
    try:
        alarm.within(RENDER_MAX_S, lambda: _compile(source))
    except TemplateSyntaxError as error:
        return f"line {error.lineno}: {error.message}"
    except Exception as error:  # noqa: BLE001 - as below
        return f"cannot be compiled ({type(error).__name__})"
    return ""


def render_text(source: str, values: JsonObject, name: str = "") -> str:
    """Render a template. Raises RenderError."""
    try:
        return alarm.within(RENDER_MAX_S, lambda: _rendered(source, values, name))
    except TookTooLong as late:
        text = f"takes more than {RENDER_MAX_S:g} s of processor time"
        raise RenderError(name, text, late.line) from None


def _rendered(source: str, values: JsonObject, name: str) -> str:
    try:
        template = _compile(source)
    except TemplateSyntaxError as error:
        raise RenderError(name, str(error.message), error.lineno) from None
    except Exception as error:  # noqa: BLE001 - whatever a template can do to its compiler is its own mistake
        raise RenderError(name, f"cannot be compiled ({type(error).__name__})") from None
    try:
        return _joined(template.generate({**values, _TICK: _Budget(MAX_ITERATIONS).tick}))
    except Interrupted as error:
        # Jinja2 rewrites the traceback of an Exception only
        line = _line(error)
        error.line = template.get_corresponding_lineno(line) if line is not None else None
        raise
    except TemplateError as error:
        raise RenderError(name, str(error.message or type(error).__name__), _line(error)) from None
    except Exception as error:  # noqa: BLE001 - whatever a template can do to Python is the template's mistake
        # the text of such an error may hold a value, its class does not
        raise RenderError(name, f"failed with {type(error).__name__}", _line(error)) from None


def _joined(pieces: Iterable[str]) -> str:
    made: list[str] = []
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > MAX_OUTPUT:
            raise LimitError(f"more than {MAX_OUTPUT} characters of output")
        made.append(piece)
    return "".join(made)


def _line(error: BaseException) -> int | None:
    """The template's line where the error arose; Jinja2 has rewritten the traceback for that."""
    found, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == _FILE:
            found = trace.tb_lineno
        trace = trace.tb_next
    return found


@lru_cache(maxsize=1024)
def _compile(source: str) -> Template:
    return _ENVIRONMENT.from_string(source)


class _Budget:
    """Counts down the iterations of one rendering."""

    def __init__(self, left: int) -> None:
        self._left = left

    def tick(self) -> str:
        """One iteration. Raises LimitError when there are none left."""
        self._left -= 1
        if self._left < 0:
            raise LimitError(f"more than {MAX_ITERATIONS} iterations")
        return ""


class _Environment(ImmutableSandboxedEnvironment):
    """The sandbox, with loops that count and operators that refuse to make something huge."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def _generate(self, source: nodes.Template, *args: Any, **kwargs: Any) -> str:
        for node in source.find_all(nodes.Stmt):
            if not isinstance(node, nodes.For | nodes.Macro | nodes.CallBlock):
                continue
            call = nodes.Call(nodes.Name(_TICK, "load"), [], [], None, None)
            statement = nodes.ExprStmt(call).set_lineno(node.lineno).set_environment(self)
            node.body.insert(0, statement)
        return super()._generate(source, *args, **kwargs)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        numbers = isinstance(left, int | float) and isinstance(right, int | float)
        if operator == "**" and not (numbers and abs(left) <= MAX_FACTOR and abs(right) <= 64):
            raise LimitError("a power that is too large")
        if operator == "%" and not numbers:
            raise LimitError("formatting with % is not allowed; use replace or ~")
        if operator == "*" and not numbers and _larger(left, right):
            raise LimitError("a repetition that is too large")
        return super().call_binop(context, operator, left, right)


def _larger(left: Any, right: Any) -> bool:
    size = sum(len(each) if hasattr(each, "__len__") else 0 for each in (left, right))
    times = max((each for each in (left, right) if isinstance(each, int)), default=0)
    return size * times > MAX_FACTOR


def _match(value: Json, pattern: str) -> bool:
    """The filter `match`: `re.match`; what is no text does not match (contract 3.5, 10.20)."""
    try:
        return isinstance(value, str) and re.match(pattern, value) is not None
    except re.error as error:
        raise LimitError(f"filter 'match': no regular expression ({error})") from None


def _range(*bounds: int) -> range:
    made = range(*bounds)
    if len(made) > MAX_RANGE:
        raise LimitError(f"a range of more than {MAX_RANGE} items")
    return made


def _environment() -> _Environment:
    # the result is YAML, not HTML: nothing to escape
    environment = _Environment(autoescape=False, cache_size=0, loader=DictLoader({}))
    filters: dict[str, Callable[..., Any]] = environment.filters
    filters["match"] = _match
    filters.pop("random", None)
    environment.globals["range"] = _range
    environment.globals.pop("lipsum", None)
    return environment


_ENVIRONMENT: Final = _environment()
