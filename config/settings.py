"""Reads the settings: command line, then environment, then file, then defaults.

Guarantees: the first that names a setting wins, setting by setting; a wrong one is one SettingsError that
names where it stands (file and line, or variable), the setting and what is allowed, and shows no secret.
File: `--config FILE`, else `gatewright.toml` here, else `~/.config/gatewright/gatewright.toml`.
Environment: `GATEWRIGHT_<SECTION>__<KEY>`; lists with commas or as JSON, tables as JSON or one variable per
entry (`GATEWRIGHT_SNMP__COMMUNITIES__EDGE_ROUTER_COMMUNITY`); any other `GATEWRIGHT_*` is an error.
Heat falls back on OS_CLOUD and OS_AUTH_URL.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from config import sections
from config.places import PREFIX, Where, has
from config.sections import Snapshot
from config.snmp_section import SnmpSection, SnmpUser

FILE_NAME = "gatewright.toml"
#: Variables that are no settings: of the start, of the tests, of what the tests start.
OTHERS = frozenset(
    f"{PREFIX}{name}"
    for name in (
        "HANDED_OVER",
        "REAL_HEAT_REQUIRED",
        "RESOURCE_SECONDS",
        "PYTHONS",
        "DEPLOY_TRIALS",
        "DEPLOY_BASE",
        "SHOTS",
    )
)
#: What Kubernetes puts into every container for a Service that is called `gatewright…`.
_SERVICE = re.compile(r".*_(SERVICE_(HOST|PORT(_\w+)?)|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)")
_SECRET = re.compile(r"password|communit|token|header|users|opentsdb_url")


class SettingsError(ValueError):
    """A setting that cannot be taken. The text is one line for a person."""


class Settings(BaseSettings):
    """All settings, validated. `to_plain()` is what travels."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True)

    etcd: sections.EtcdSection = sections.EtcdSection()
    heat: sections.HeatSection = sections.HeatSection()
    snmp: SnmpSection = SnmpSection()
    types: sections.TypesSection = sections.TypesSection()
    workers: sections.WorkersSection = sections.WorkersSection()
    limits: sections.LimitsSection = sections.LimitsSection()
    supervision: sections.SupervisionSection = sections.SupervisionSection()
    paths: sections.PathsSection = sections.PathsSection()
    standalone: sections.StandaloneSection = sections.StandaloneSection()
    http: sections.HttpSection = sections.HttpSection()
    otel: sections.OtelSection = sections.OtelSection()
    log: sections.LogSection = sections.LogSection()

    def to_plain(self, origin: str = "defaults") -> Snapshot:
        """The same values as a plain frozen dataclass that pickles without pydantic."""
        names = [f.name for f in dataclasses.fields(Snapshot) if f.name != "origin"]
        return Snapshot(**{name: getattr(self, name) for name in names}, origin=origin)


SECTIONS: dict[str, Any] = {name: info.annotation for name, info in Settings.model_fields.items()}
for _section in SECTIONS.values():  # a misspelt key is an error, not a comment
    _section.__pydantic_config__ = ConfigDict(extra="forbid")
Settings.model_rebuild(force=True)


class _Given(PydanticBaseSettingsSource):
    """Values that were read elsewhere, as one source of pydantic-settings."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__(Settings)
        self._values = dict(values)

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return self._values.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return self._values


def load(
    config_file: Path | None = None,
    *,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
    environ: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> Snapshot:
    """Read all settings. Raises SettingsError.

    `overrides`: section → key → value, from the command line. `environ` and `directory`: in place of the
    process's own, for tests.
    """
    environ = os.environ if environ is None else environ
    path = _find(config_file, environ, directory or Path.cwd())
    from_file, text = _read(path) if path else ({}, "")
    from_environ = _from_environ(environ)
    given = dict(overrides or {})
    sources = (given, from_environ, from_file)
    _refuse_booleans(sources, Where(given, from_environ, path, text))
    fallbacks = _fallbacks(environ, sources)

    class Loaded(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return tuple(_Given(values) for values in (*sources, fallbacks))

    try:
        return Loaded().to_plain(str(path) if path else "defaults")
    except ValidationError as error:
        where = Where(given, from_environ, path, text)
        raise SettingsError(_explain(error, where)) from None


def origins(
    config_file: Path | None,
    overrides: Mapping[str, Mapping[str, Any]],
    environ: Mapping[str, str],
    directory: Path | None = None,
) -> Callable[[str, str], str]:
    """A function from section and key to the place that a setting comes from. Raises SettingsError."""
    path = _find(config_file, environ, directory or Path.cwd())
    from_file, text = _read(path) if path else ({}, "")
    from_environ = _from_environ(environ)
    where = Where(dict(overrides), from_environ, path, text)
    fallbacks = _fallbacks(
        {k: v for k, v in environ.items() if k.startswith("OS_")}, (from_environ, from_file)
    )

    def origin(section: str, key: str) -> str:
        location = (section, key)
        if any(has(source, location) for source in (overrides, from_environ, from_file)):
            return where.of(location)
        return "environment OS_*" if section == "heat" and has(fallbacks, location) else "default"

    return origin


def _find(config_file: Path | None, environ: Mapping[str, str], directory: Path) -> Path | None:
    if config_file is not None:
        return config_file
    home = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
    base = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    for candidate in (directory / FILE_NAME, base / "gatewright" / FILE_NAME):
        if candidate.is_file():
            return candidate
    return None


def _read(path: Path) -> tuple[dict[str, Any], str]:
    try:
        text = path.read_text(encoding="utf-8")
        return tomllib.loads(text), text
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: not TOML: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _from_environ(environ: Mapping[str, str]) -> dict[str, Any]:
    """`GATEWRIGHT_A__B[__C]` → {"a": {"b": …}}. Section and key in any case, an entry's name as it is.

    Raises SettingsError for a variable that looks like a setting and is none: who gave it counts on it.
    """
    values: dict[str, Any] = {}
    for name, raw in environ.items():
        if not name.startswith(PREFIX) or name in OTHERS:
            continue
        if "__" not in name:
            _check_foreign(name, raw)
            continue
        section, key, *entry = name.removeprefix(PREFIX).split("__", 2)
        keys = values.setdefault(section.lower(), {})
        if entry:
            table = keys.setdefault(key.lower(), {})
            if isinstance(table, dict):
                table[entry[0]] = raw
        else:
            keys[key.lower()] = _decode(section.lower(), key.lower(), raw)
    return values


def _check_foreign(name: str, raw: str) -> None:
    if _SERVICE.fullmatch(name) or (name.endswith("_PORT") and "://" in raw):
        return
    known = {
        f"{section}_{key}".upper(): f"{PREFIX}{section}__{key}".upper()
        for section in SECTIONS
        for key in _keys(section)
    }
    close = difflib.get_close_matches(name.removeprefix(PREFIX).upper(), known, 1)
    hint = f"; did you mean {known[close[0]]}?" if close else f": they are {PREFIX}<SECTION>__<KEY>"
    raise SettingsError(f"environment {name}: no such setting{hint}")


def _decode(section: str, key: str, raw: str) -> Any:
    kind = _kinds(section).get(key, "")
    if not kind.startswith(("tuple", "Mapping")):
        return raw
    if raw.lstrip().startswith(("[", "{")):
        try:
            return json.loads(raw)
        except ValueError:
            return raw
    return [part.strip() for part in raw.split(",") if part.strip()] if kind.startswith("tuple") else raw


def _kinds(section: str) -> dict[str, str]:
    return {f.name: str(f.type) for f in dataclasses.fields(SECTIONS[section])} if section in SECTIONS else {}


def _refuse_booleans(sources: tuple[Mapping[str, Any], ...], where: Where) -> None:
    """Pydantic takes true for the number 1. Raises SettingsError."""
    for section, keys in ((name, keys) for source in sources for name, keys in source.items()):
        for key, kind in _kinds(section).items() if isinstance(keys, Mapping) else ():
            value = keys.get(key)
            wrong = "must be a number or text, not true or false" if isinstance(value, bool) else ""
            if isinstance(value, Mapping) and any(isinstance(one, bool) for one in value.values()):
                wrong = "must not hold true or false"
            if wrong and kind != "bool":
                raise SettingsError(f"{where.of((section, key))}: {section}.{key}: {wrong}")


def _fallbacks(environ: Mapping[str, str], sources: tuple[Mapping[str, Any], ...]) -> dict[str, Any]:
    """What others' variables say, where nobody said anything about it."""
    values: dict[str, Any] = {"paths": {"state_dir": sections.default_state_dir(environ)}}
    ways = ("endpoint", "cloud", "use_os_variables")
    heats = [source.get("heat") for source in sources]
    if not any(way in heat for heat in heats if isinstance(heat, Mapping) for way in ways):
        if environ.get("OS_CLOUD"):
            values["heat"] = {"cloud": environ["OS_CLOUD"]}
        elif environ.get("OS_AUTH_URL"):
            values["heat"] = {"use_os_variables": True}
    return values


def _explain(error: ValidationError, where: Where) -> str:
    """The first problem, in one line; the number of further ones."""
    problems = error.errors(include_url=False)
    unknown = (one for one in problems if one["type"] in _UNKNOWN)
    first = next(unknown, problems[0])  # a name that is misspelt, before the one that is missing for it
    location = tuple(str(part) for part in first["loc"] if part != "[key]")
    message = _message(first, location)
    key, colon, rest = message.partition(": ")
    if colon and len(location) == 1 and key in _keys(location[0]):  # a section's own check names the setting
        location, message = (*location, key), rest
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{where.of(location)}: {'.'.join(location)}: {message}{more}"


_UNKNOWN = frozenset({"extra_forbidden", "unexpected_keyword_argument"})
#: pydantic's words → those of a TOML file.
_WORDS = {
    "Value error, ": "",
    "Input should be": "must be",
    "a valid dictionary": "a table",
    "a valid tuple": "a list",
    "a dictionary or an instance": "a table, instance",
}


def _message(problem: Any, location: tuple[str, ...]) -> str:
    if problem["type"] in _UNKNOWN:
        return _unknown(location)
    message = str(problem["msg"])
    for theirs, ours in _WORDS.items():
        message = message.replace(theirs, ours)
    message = re.sub(r", instance of \w+", "", message)
    given = problem.get("input")
    if isinstance(given, str | int | float | bool) and not _SECRET.search(".".join(location)):
        message += f"; it is {given!r}"
    return message


def _keys(section: str) -> list[str]:
    return list(_kinds(section))


def _unknown(location: tuple[str, ...]) -> str:
    name = location[-1]
    if len(location) == 1:
        kind, allowed = "section", list(SECTIONS)
    else:
        in_user = location[:2] == ("snmp", "users") and len(location) > 3
        kind, allowed = (
            "setting",
            [f.name for f in dataclasses.fields(SnmpUser)] if in_user else _keys(location[0]),
        )
    close = difflib.get_close_matches(name, allowed, 1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"no such {kind}; {hint}there are: {', '.join(allowed)}"
