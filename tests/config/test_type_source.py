"""Where the resource types come from."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from actors.core.model import Handler
from config.sections import TypesSection
from config.type_source import types_of
from config.types import TypesError

SCHEMAS = {
    "schemas": [
        {
            "id": "widget",
            "plural": "widgets",
            "prefix": "/v2.0",
            "metadata": {"template_path": {"heat_worker": "Cwidget"}},
            "schema": {"properties": {"network_id": {"type": "string", "relation": "network"}}},
        },
        {"id": "network", "plural": "networks", "prefix": "/v2.0", "schema": {"properties": {}}},
    ]
}


class _Answers(BaseHTTPRequestHandler):
    failures = 1

    def do_GET(self) -> None:
        """Fail first, then answer."""
        failing = type(self).failures > 0
        type(self).failures -= 1
        self.send_response(503 if failing else 200)
        self.end_headers()
        if not failing:
            self.wfile.write(json.dumps(SCHEMAS).encode())

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def url():
    """A schema server that fails once."""
    _Answers.failures = 1
    server = HTTPServer(("127.0.0.1", 0), _Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/gohan/v0.1/schemas"
    server.shutdown()
    thread.join()
    server.server_close()


def test_own_yaml_is_the_default() -> None:
    """With nothing configured the types are those of the project."""
    assert types_of(TypesSection()).get("ese_logical_port") is not None


def test_a_gohan_document_gives_relations_and_templates(tmp_path: Path) -> None:
    """A new resource type comes from Gohan's document alone, with relations and template path."""
    path = tmp_path / "schemas.json"
    path.write_text(json.dumps(SCHEMAS))
    widget = types_of(TypesSection(gohan=str(path))).get("widget")
    assert widget is not None
    assert widget.relations == {"network_id": "network"}
    assert widget.template_path[Handler.HEAT] == "Cwidget"
    assert widget.path == "v2.0/widgets"


def test_a_gohan_server_that_fails_first_is_asked_again(url: str) -> None:
    """An API server that does not answer yet is asked again, and a person is told."""
    said: list[str] = []
    types = types_of(TypesSection(gohan=url, patience_s=30), said.append)
    assert types.get("widget") is not None
    assert len(said) == 1
    assert "503" in said[0]


def test_a_source_that_never_answers_is_one_error() -> None:
    """After its patience the source is named in one error."""
    with pytest.raises(TypesError, match=r"http://127\.0\.0\.1:9/x: no schemas within"):
        types_of(TypesSection(gohan="http://127.0.0.1:9/x", patience_s=0.5), lambda _: None)


@pytest.mark.parametrize(("text", "says"), [("{", "not JSON"), ('{"schemas": [{"no": 1}]}', "schema")])
def test_a_bad_document_is_one_error_that_names_the_file(tmp_path: Path, text: str, says: str) -> None:
    """What cannot be read is said with the file's name."""
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(TypesError, match=says) as caught:
        types_of(TypesSection(gohan=str(path)))
    assert str(path) in str(caught.value)
