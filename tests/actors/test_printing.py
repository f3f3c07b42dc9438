"""Ids and names of others cannot steer the terminal of who looks at them."""

from __future__ import annotations

import io
import json

import pytest
from rich.table import Table
from rich.text import Text

from actors.cli import output
from actors.core.graph_view import as_text, build
from actors.core.printable import printable
from actors.printing import PlainConsole
from tests.core.insight import Insight
from tests.core.mirror import NET

EVIL = "a\x1b[2J\x07\x9b\u202eb"
SHOWN = r"a\u001b[2J\u0007\u009b\u202eb"


def test_control_characters_are_shown_and_everything_else_stays() -> None:
    """Newlines and tabs, too: they are layout."""
    assert printable(EVIL) == SHOWN
    assert printable("ä €\n\t…") == "ä €\n\t…"


def test_a_console_shows_them_in_text_and_tables_and_keeps_its_colours() -> None:
    """Only the console's own sequences reach the terminal."""
    file = io.StringIO()
    console = PlainConsole(file=file, width=80, force_terminal=True, color_system="standard", highlight=False)
    table = Table("name")
    table.add_row(EVIL)
    console.print(Text(EVIL, "red"), soft_wrap=True)
    console.print(table)
    told = file.getvalue()
    assert "\x1b[31m" in told
    assert "\x1b[2J" not in told
    assert "\\u001b[2J" in told


@pytest.mark.parametrize(
    "text", ["port:a: refused", "x [/] y", "[bold]x[/bold]", "[link=http://h]x", ":warning:"]
)
def test_a_console_shows_what_looks_like_markup_as_it_is(text: str) -> None:
    """A tag of Rich's or an emoji by name stays text: in a line, in a cell, in a title."""
    file = io.StringIO()
    console = PlainConsole(file=file, width=80, highlight=False)
    table = Table("name", title=text)
    table.add_row(text)
    console.print(text)
    console.print(table)
    assert file.getvalue().count(text) == 3


def test_lines_json_and_errors_show_them(capsys: pytest.CaptureFixture[str]) -> None:
    """And JSON says the same value as before."""
    output.say(EVIL)
    output.fail(EVIL)
    told = capsys.readouterr()
    assert (told.out, told.err) == (f"{SHOWN}\n", f"gatewright: {SHOWN}\n")
    output.emit_json({"name": EVIL})
    told = capsys.readouterr()
    assert "\x9b" not in told.out
    assert json.loads(told.out) == {"name": EVIL}


def test_a_tree_shows_them() -> None:
    """The names in it, while its colours stay."""
    insight = Insight()
    insight.declare(NET, name=EVIL)
    assert SHOWN in as_text(build(insight.known))


def test_a_name_stays_on_its_line_and_ends() -> None:
    """A name that holds line breaks can feign no line of ours, and one as long as a document fills no terminal."""
    insight = Insight()
    insight.declare(NET, name="a\nport p v1 settled\r\n" + "y" * 100_000)
    told = as_text(build(insight.known)).splitlines()
    assert len(told) == 1
    assert "a port p v1 settled y" in told[0]
    assert len(told[0]) < 200
