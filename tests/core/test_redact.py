"""Secrets in texts: which values are secret, and that none of their forms remains."""

from __future__ import annotations

import json

import pytest

from actors.core.redact import redact, secret_values, without_login


def test_secret_by_name_or_because_hidden() -> None:
    """Values and defaults of secretly named or hidden parameters are secret, nested ones too; others are not."""
    template = {
        "parameters": {
            "admin_password": {"type": "string", "default": "default-1"},
            "license": {"type": "string", "hidden": True},
            "vlan": {"type": "number", "default": 7},
        }
    }
    parameters = {
        "license": "key-2",
        "credentials": [{"user": "root", "pw": "deep-3"}],
        "vlan": 9,
        "api_token": 4711,
    }
    assert secret_values(template, parameters) == {"default-1", "key-2", "root", "deep-3", "4711"}


@pytest.mark.parametrize("secret", ["simple", "it's", 'a"b\\c', "ü-ß", "line\nbreak"])
@pytest.mark.parametrize("form", [str, repr, json.dumps])
def test_quoted_and_escaped_forms_are_masked(secret: str, form: object) -> None:
    """A secret is masked as it is, and as Python or JSON text."""
    assert callable(form)
    text = redact(f"Parameter 'p' is invalid: {form(secret)} is too long", frozenset({secret}))
    assert "***" in text
    assert secret not in text
    assert repr(secret)[1:-1] not in text


def test_short_values_are_masked_as_whole_words_only() -> None:
    """A secret of three characters or less does not make other words unreadable."""
    assert redact("vlan 7 of 70: '7'", frozenset({"7"})) == "vlan *** of 70: '***'"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "no connection to http://u:pass@word@heat:8004/v1/a@b",
            "no connection to http://***@heat:8004/v1/a@b",
        ),
        ("https://token@[::1]/ and http://host/x", "https://***@[::1]/ and http://host/x"),
        ("by root@host, see http://host", "by root@host, see http://host"),
    ],
)
def test_an_address_is_shown_without_its_login(text: str, shown: str) -> None:
    """What stands before the host is masked wherever an address is in a text; nothing else is."""
    assert without_login(text) == shown
