"""Sorting what heatclient, keystoneauth and requests throw (research/heat.md 3.2, 3.4) into `PortError`s.

Guarantees: a write whose request may have reached Heat is IN_DOUBT unless Heat itself refused it; NOT_FOUND
means that Heat said "this stack is gone"; texts are short, without markup and without secrets.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator

from heatclient import exc as heat_exc
from keystoneauth1 import exceptions as auth_exc
from requests import exceptions as http_exc
from urllib3 import exceptions as pool_exc

from actors.core.errors import ErrorClass, PortError, classify_heat
from actors.core.redact import redact, without_login

_KEYSTONE = ("keystoneauth1.identity.", "keystoneauth1.access.", "keystoneauth1.discover")
#: Longest text shown to people, in characters.
_LONGEST = 500
#: And of the type of an error: Heat's are at most half as long.
_KIND_LONGEST = 100
#: So much of a text is looked at: finding markup that never ends takes the square of its length.
_LOOKED_AT = 4_000
#: Of pages that proxies and web servers make of an error. What else stands in angle brackets is Heat's own word.
_TAGS = (
    "html|head|title|meta|link|style|script|body|main|header|footer|section|article|div|span|center|address|h[1-6]|p|br|hr"
    "|b|i|u|a|em|strong|small|big|font|tt|code|pre|ul|ol|li|dl|dt|dd|table|thead|tbody|tr|th|td|img|form|input|button"
)
_MARKUP = re.compile(
    rf"<(style|script|head)\b.*?</\1>|<!--.*?-->|<!doctype\b[^>]*>|</?(?:{_TAGS})(?:\s[^>]*|/)?>",
    re.DOTALL | re.IGNORECASE,
)


class BrokenAnswerError(Exception):
    """An answer that Heat does not give: another status, no JSON, a member missing."""


def port_error(error: Exception, *, write: bool, secrets: frozenset[str]) -> PortError | None:
    """The sorted error, or None for what is no failure of the backend."""
    if isinstance(error, heat_exc.HTTPException):
        return _from_heat(error, write=write, secrets=secrets)
    if isinstance(error, auth_exc.HttpError):
        # Keystone answered: Heat was never asked.
        failure = classify_heat(error.http_status, "", may_have_acted=False)
        return PortError(failure, type(error).__name__, _tidy(f"Keystone: {error.message}", secrets))
    if isinstance(error, auth_exc.ConnectionError):
        reached = write and not never_sent(error)
        return _transport(error, reached=reached, secrets=secrets)
    if isinstance(error, auth_exc.ClientException):
        return PortError(ErrorClass.TRANSIENT, type(error).__name__, _tidy(str(error), secrets))
    if isinstance(error, AttributeError | LookupError | TypeError | ValueError) and _at_keystone(error):
        text = f"Keystone's answer cannot be understood ({_tidy(str(error), secrets)})"
        return PortError(ErrorClass.TRANSIENT, "BrokenAnswer", text)
    if isinstance(error, RecursionError):
        error = BrokenAnswerError("lists and objects too deep within each other")
    if isinstance(error, BrokenAnswerError | http_exc.JSONDecodeError):
        text = f"Heat's answer cannot be understood ({_tidy(str(error), secrets)})"
        return PortError(_doubt(reached=write), "BrokenAnswer", text)
    if isinstance(error, http_exc.RequestException):
        return _transport(error, reached=write, secrets=secrets)
    if isinstance(error, heat_exc.BaseException):
        return PortError(_doubt(reached=write), type(error).__name__, _tidy(str(error), secrets))
    return None


def delegated_error(error: PortError) -> PortError:
    """A refusal (403) as Heat and Keystone word it tells nobody what to do about it: this does."""
    failure = error.failure
    if failure.kind not in ("HTTPForbidden", "HTTP403", "Forbidden"):
        return error
    hint = (
        "an application credential cannot create stacks (Heat's trusts refuse it): use a user with a password"
    )
    return PortError(failure.error_class, failure.kind, f"{failure.text}; {hint}")


def _at_keystone(error: Exception) -> bool:
    """Whether it was raised while keystoneauth took a token or a catalogue apart: it trusts their members."""
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    return any(str(frame.f_globals.get("__name__", "")).startswith(_KEYSTONE) for frame in frames)


def _doubt(*, reached: bool) -> ErrorClass:
    return ErrorClass.IN_DOUBT if reached else ErrorClass.TRANSIENT


def _from_heat(error: heat_exc.HTTPException, *, write: bool, secrets: frozenset[str]) -> PortError:
    body = error.error.get("error") if isinstance(error.error, dict) else None
    body = body if isinstance(body, dict) else {}
    error_type = str(body.get("type") or "")
    message = body.get("message") or ""
    message = message.decode(errors="replace") if isinstance(message, bytes) else str(message)
    gone = error_type != "EntityNotFound" or message.startswith("The Stack (")
    known_type = error_type if gone else ""  # Heat also answers 404 for its own losses (3.4)
    failure = classify_heat(int(error.code), known_type, may_have_acted=write, message=message)
    kind = _tidy(error_type, secrets)[:_KIND_LONGEST] or f"HTTP{error.code}"
    return PortError(failure, kind, _tidy(message, secrets) or f"HTTP {error.code}")


def _transport(error: Exception, *, reached: bool, secrets: frozenset[str]) -> PortError:
    return PortError(_doubt(reached=reached), type(error).__name__, _tidy(str(error), secrets))


def never_sent(error: BaseException) -> bool:
    """Whether the connection was not even made: then nothing can have happened at Heat."""
    return any(
        isinstance(cause, pool_exc.NewConnectionError | pool_exc.ConnectTimeoutError | pool_exc.SSLError)
        for cause in _causes(error)
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and all that led to it, as the libraries wrapped them."""
    waiting, seen = [error], set[int]()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        inner = (one.__cause__, one.__context__, getattr(one, "reason", None), *one.args)
        waiting.extend(cause for cause in inner if isinstance(cause, BaseException))


def _tidy(text: str, secrets: frozenset[str]) -> str:
    """One short line without markup or noise; masked before it is cut, so that no half of a secret remains."""
    masked = without_login(redact(text, secrets))  # a library names the address that it could not reach
    line = " ".join(_MARKUP.sub(" ", masked[:_LOOKED_AT]).split())
    line = "".join(char if char.isprintable() else "?" for char in line)
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
