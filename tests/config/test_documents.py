"""Files that YAML allows and nobody can use: each is one error that names the file and the document."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.documents import DocumentError, read_yaml
from config.examples import load_declarations, read_documents
from config.types import load_types

TYPES = load_types()
GOOD = "- {type: network, body: {id: a}}\n"
BOMB = "\n".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = "\n".join(
    f"{name}: &{name} {{<<: [{', '.join([f'*{before}'] * 10)}]}}"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("x: !!binary aGFsbG8=", "x: binary data is nothing that JSON has"),
        ("x: !!set {a, b}", "x: a set is nothing that JSON has"),
        ("x: {y: [2026-11-26]}", "x.y.0: a date is nothing that JSON has: write it as text, in quotes"),
        ("x: 2026-11-26 10:00:00", "x: a date is nothing"),
        ("2026-11-26: x", "the key 2026-11-26 is no text"),
        ("x: {1: y}", "x: the key 1 is no text: put it in quotes"),
        ("x: {null: y}", "x: the key None is no text"),
        ("x: .nan", "x: nan is no number in JSON"),
        ("x: -.inf", "x: -inf is no number in JSON"),
        ("x: " + "[" * 60 + "]" * 60, "more than 49 lists and tables within each other"),
    ],
)
def test_what_json_cannot_say_is_named(tmp_path: Path, value: str, said: str) -> None:
    """The file, the number of the document, the place in its body, and what is wrong."""
    path = tmp_path / "mine.yaml"
    path.write_text(f"{GOOD}- type: network\n  body: {{id: b, {value}}}\n")
    with pytest.raises(DocumentError) as caught:
        read_documents([path], TYPES)
    assert f"{path}: document 2 (network): " in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("? [a, b]\n: c", "not YAML: found unhashable key"),
        ("[" * 3000 + "]" * 3000, ":1: not YAML: more than 200 lists and tables within each other"),
        ("- " * 3000 + "x", "more than 200 lists"),
        ("x: 2026-13-45", "not YAML: month must be in"),
        ("x: !!int ''", "not YAML"),
        ("a: &a [x]\n" + BOMB, "its aliases make more than 1,000,000 values of it"),
        ("a: &a {x: y}\n" + MERGES, "its aliases make more than 1,000,000 values of it"),
        ("&a [*a]", "its aliases make more than"),
    ],
)
def test_a_file_without_measure_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """Neither a traceback nor work without end, and the file is named."""
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(DocumentError) as caught:
        read_yaml(path)
    assert str(path) in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty"),
        ("# only a comment\n", "the file is empty"),
        ("[]", "the file is empty"),
        (GOOD + GOOD, "document 2: /config/v2.0/networks/a stands in document 1 already: keep one of them"),
    ],
)
def test_no_document_and_one_too_many_are_told(tmp_path: Path, text: str, said: str) -> None:
    """Nothing to do, and one id that would be written twice, are mistakes of the file."""
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(DocumentError) as caught:
        read_documents([path], TYPES)
    assert f"{path}: {said}" in str(caught.value)


def test_one_id_in_two_files_is_told(tmp_path: Path) -> None:
    """It would be written twice, the second version over the first."""
    one, other = tmp_path / "one.yaml", tmp_path / "other.yaml"
    one.write_text(GOOD)
    other.write_text(GOOD)
    with pytest.raises(DocumentError) as caught:
        read_documents([one, other], TYPES)
    stands = f"/config/v2.0/networks/a stands in {one}: document 1 already"
    assert f"{other}: document 1: {stands}" in str(caught.value)


def test_an_empty_file_of_declarations_is_told(tmp_path: Path) -> None:
    """`run --declare` of an empty file says that it is empty."""
    path = tmp_path / "mine.yaml"
    path.write_text("")
    with pytest.raises(DocumentError, match="the file is empty"):
        load_declarations(path, TYPES)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ('{type: network, body: {id: "a\\e[31m"}}', "(network): id 'a\\x1b[31m' must not hold control"),
        ('{type: network, body: {id: "a\\nb"}}', "(network): id 'a\\nb' must not hold control"),
        (
            f"{{type: network, body: {{id: {'a' * 248}}}}}",
            "(network): the id has 248 characters, and Heat takes 255 for 'network_<id>'",
        ),
        ("{type: [network], body: {id: a}}", "no such type ['network']"),
        (
            "{id: [t], handler: heat_worker, parameter_mappings: {}, template_file: ''}",
            "id must be printable text",
        ),
        ("{id: t, handler: [a], parameter_mappings: {}, template_file: ''}", "unknown handler ['a']"),
    ],
)
def test_what_cannot_be_an_id_or_a_type_is_named(tmp_path: Path, entry: str, said: str) -> None:
    """A list where text belongs, what would steer a terminal, and what is too long for the name of a stack."""
    path = tmp_path / "mine.yaml"
    path.write_text(f"- {entry}\n")
    with pytest.raises(DocumentError) as caught:
        read_documents([path], TYPES)
    assert f"{path}: document 1{'' if said.startswith('(') else ':'} {said}" in str(caught.value)


def test_the_longest_id_is_taken(tmp_path: Path) -> None:
    """255 characters with the type before it."""
    path = tmp_path / "mine.yaml"
    path.write_text(f"{{type: network, body: {{id: {'a' * 247}}}}}")
    assert len(read_documents([path], TYPES)) == 1
