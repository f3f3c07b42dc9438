"""Logging of one process: straight to a descriptor, never through another process.

Guarantees: one record is one `write` of whole lines, so lines of several processes do not mix; as JSON each is an
object, as text none steers a terminal, whatever others put into it; loggers made at import time before the fork
speak here too; a storm of like lines is cut short (`log_limits`). A full pipe delays the process, as any write does.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import os
from dataclasses import dataclass
from datetime import UTC, datetime

from thespian.system.utilis import thesplog_control

from actors.core.model import Ref
from actors.core.printable import printable
from actors.core.stackdrive import request_id
from actors.runtime.log_limits import StormFilter


@dataclass(frozen=True, slots=True)
class LogConfig:
    """Where and how every process of the system logs. `level` is a name or number of `logging`."""

    level: int | str = logging.INFO
    as_json: bool = False
    fd: int = 2


class _Formatter(logging.Formatter):
    """One line of JSON, or text with the traceback on the lines after it."""

    def __init__(self, process: str, as_json: bool) -> None:
        super().__init__()
        self._process = process
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        trace = self.formatException(record.exc_info) if record.exc_info else ""
        correlation = correlation_id(record)
        if not self._as_json:
            head = f"{when} {record.levelname:<7} {self._process}[{record.process}] {record.name}"
            head += f" {correlation}" if correlation else ""
            return printable(f"{head}: {_message(record)}" + (f"\n{trace}" if trace else ""))
        fields = {
            "time": when,
            "level": record.levelname,
            "process": self._process,
            "pid": record.process,
            "logger": record.name,
            "message": _message(record),
        }
        if correlation:
            fields["request_id"] = correlation
        if trace:
            fields["traceback"] = trace
        return json.dumps(fields, ensure_ascii=False)


def _message(record: logging.LogRecord) -> str:
    """Its text; that it has none, where its arguments cannot be put into words: they do that themselves."""
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001 - whatever they raise
        return f"unprintable log record of {record.name}: {type(error).__name__}"


def correlation_id(record: logging.LogRecord) -> str:
    """The id of the resource version that a record is about, the one that Heat is told too; "" if it is none.

    A record is about one if its arguments begin with the `Ref` and the version.
    """
    match record.args:
        case (Ref() as ref, int() as version, *_):
            return request_id(ref, version)
        case _:
            return ""


class _Descriptor(logging.Handler):
    """Writes to a descriptor; a descriptor that is gone costs the record, never the actor."""

    def __init__(self, fd: int) -> None:
        super().__init__()
        self._fd = fd

    def emit(self, record: logging.LogRecord) -> None:
        try:
            data = (self.format(record) + "\n").encode(errors="backslashreplace")
        except Exception as error:  # noqa: BLE001 - arguments of a record format themselves
            data = f"unprintable log record of {record.name}: {type(error).__name__}\n".encode()
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError:
            return


def silence_thespian() -> None:
    """Keep Thespian's own log file out of the temporary folder."""
    thesplog_control(logging.CRITICAL + 1, False, 0)


def install(config: LogConfig, process: str) -> None:
    """Make this process log as `config` says, and forget all handlers it inherited."""
    silence_thespian()
    handler = _Descriptor(config.fd)
    handler.setFormatter(_Formatter(process, config.as_json))
    handler.addFilter(StormFilter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(config.level)
    logging.captureWarnings(True)
    faulthandler.enable(file=config.fd)  # a crash inside a library leaves the Python stack here
