"""What a person sees of a run is no part of the run."""

from __future__ import annotations

import errno
import io
import logging
import sys

import pytest

from actors.core.model import Ref
from actors.display import Display
from actors.messages import ResourceStatus, StatusReply


class Full(io.StringIO):
    """A disk without space."""

    def write(self, text: str) -> int:
        """No."""
        raise OSError(errno.ENOSPC, "No space left on device")


class Unread(io.StringIO):
    """A pipe that nobody reads, as Python's own buffer shows it: at the flush."""

    def flush(self) -> None:
        """No."""
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")


@pytest.mark.parametrize("stream", [Full, Unread])
def test_a_run_that_cannot_be_shown_goes_on(
    stream: type[io.StringIO], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A full disk under the output, and a pipe whose reader has left, are one line of the log and no end of the run."""
    monkeypatch.setattr(sys, "stdout", stream())
    row = ResourceStatus(Ref("port", "p"), 1, "settled", "CREATE_COMPLETED", 0.0, {"own": 0.1}, "", {})
    reply = StatusReply("1", ready=True, store="up", counts={"settled": 1}, rows=(row,), problems=())
    with caplog.at_level(logging.WARNING), Display() as display:
        display.say("starting")
        display.show(reply, building=True)
        display.bill(reply)
        display.end_of_building()
    assert len(caplog.records) == 1
    assert "cannot be shown" in caplog.text
