"""The command line: one file per group of commands.

Guarantees: a wrong argument or setting is one line and exit code 2; exit codes are in `EXIT_CODES`; a command
that only asks or steers never starts anything. Each group adds its own arguments and says what runs them. Ctrl-C, and
an output that cannot be written, are one line, too.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn, TextIO, cast

from actors.cli import applying, asking, configuring, controller, doctor, output, running, seeing, steering
from actors.cli.context import EXIT_CODES, Context, MakeServices, Services, UsageError, overrides_of
from actors.cli.reach import RefusedError, UnreachableError
from actors.core.find import NotFoundError
from actors.printing import Spout
from config.documents import DocumentError
from config.settings import SettingsError, load
from config.types import TypesError

__all__ = ["EXIT_CODES", "Context", "MakeServices", "Services", "main"]

#: As a shell reports a process that SIGPIPE or SIGINT ended.
PIPE_CLOSED, INTERRUPTED = 141, 130
GROUPS = (running, controller, applying, seeing, asking, steering, doctor, configuring)

#: What `run.py` does without us.
ELSEWHERE = {
    "sim": "the same actors under a virtual clock, with faults from a seed",
    "replay": "play recorded runs of the original system and compare every key",
    "test": "run all checks",
}


class OutputError(OSError):
    """The output cannot be written: its disk is full."""


def main(arguments: Sequence[str], make_services: MakeServices) -> int:
    """Parse and run one command; returns the exit code."""
    stdout = sys.stdout
    sys.stdout = cast("TextIO", Spout(stdout, _unwritten))
    try:
        return _main(arguments, make_services)
    finally:
        sys.stdout = stdout


def _main(arguments: Sequence[str], make_services: MakeServices) -> int:
    parsed = _parser().parse_args(arguments)
    try:
        settings = load(parsed.config, overrides=overrides_of(parsed))
        code = int(parsed.run(Context(settings, make_services, parsed, overrides_of(parsed))))
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # whoever read our output has seen enough (`| head`)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except OutputError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _failed(error, 1)
    except KeyboardInterrupt:
        return _failed(KeyboardInterrupt("interrupted"), INTERRUPTED)
    except (SettingsError, TypesError, DocumentError, UsageError) as error:
        return _failed(error, 2)
    except RefusedError as error:
        return _failed(error, 1)
    except NotFoundError as error:
        return _failed(error, 3)
    except UnreachableError as error:
        return _failed(error, 4)


def _unwritten(error: OSError) -> NoReturn:
    if isinstance(error, BrokenPipeError):
        raise error
    raise OutputError(f"the output cannot be written: {error.strerror or error}")


def _failed(error: BaseException, code: int) -> int:
    output.fail(str(error))
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="run.py",
        description="Gatewright builds declared network resources and watches them.",
        epilog="exit codes: " + "; ".join(f"{code} {text}" for code, text in EXIT_CODES.items()),
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings (TOML)")
    parser.add_argument("--state-dir", type=Path, metavar="DIR", help="where standalone mode keeps its data")
    commands = parser.add_subparsers(dest="command", metavar="command")
    for group in GROUPS:
        group.add_commands(parser, commands)
    for name, what in ELSEWHERE.items():
        commands.add_parser(name, help=what)
    return parser
