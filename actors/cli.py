"""The command line. Placeholder: the commands come with the runtime."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    sys.stderr.write(f"gatewright: nothing to run yet ({' '.join(arguments) or 'no command'})\n")
    return 2
