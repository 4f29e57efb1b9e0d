"""The event log: every event, in order, while it is written; what is missing is known."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from alma.pulumi.automation.eventlog import EventLog
from tests.pulumi import programs
from tests.pulumi.conftest import Place

END = {"cancelEvent": {}}


def _numbered(*events: Mapping[str, Any]) -> str:
    lines = [json.dumps({"sequence": at, **event}) for at, event in enumerate(events)]
    return "".join(f"{line}\n" for line in lines)


def _observe(text: str) -> tuple[list[Any], bool]:
    seen: list[Any] = []
    with EventLog(seen.append) as events:
        Path(events.path).write_text(text)
    return seen, events.complete


def test_a_process_that_inherits_it_can_write_and_nobody_else_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is followed while the writer lives, and a writer outlives whoever follows."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen: list[Any] = []
    write = "import sys; log = open(sys.argv[1], 'a'); print(sys.argv[2], file=log, flush=True)"
    wait = "; sys.stdin.read(); print(sys.argv[3], file=log, flush=True)"
    with EventLog(seen.append) as events:
        first, last = _numbered({"preludeEvent": {}}, END).splitlines()
        process = subprocess.Popen(
            [sys.executable, "-c", write + wait, events.path, first, last],
            stdin=subprocess.PIPE,
            pass_fds=[events.descriptor],
        )
        deadline = time.monotonic() + 30
        while not seen:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert list(tmp_path.iterdir()) == []
        process.communicate()
        assert process.returncode == 0
    assert [sorted(event) for event in seen] == [["preludeEvent", "sequence"], [*END, "sequence"]]
    assert events.complete


@pytest.mark.parametrize(
    "text",
    [
        "",
        _numbered({"summaryEvent": {}}),
        _numbered(END)[:-4],
        _numbered({"summaryEvent": {}}, END).replace('"sequence": 1', '"sequence": 2'),
        "no JSON\n" + _numbered(END),
        '["a list"]\n' + _numbered(END),
    ],
    ids=["nothing", "no end", "cut off", "a gap", "no JSON", "no object"],
)
def test_what_is_missing_is_known(text: str) -> None:
    assert not _observe(text)[1]


def test_events_of_any_size_come_whole() -> None:
    """Larger than what is read at once, and in more than one piece."""
    large = {"diagnosticEvent": {"message": "x" * (3 << 20)}}
    seen, complete = _observe(_numbered(large, large, END))
    assert complete
    assert [event.get("diagnosticEvent") for event in seen[:2]] == [large["diagnosticEvent"]] * 2


async def test_a_success_that_is_not_all_told_is_none(place: Place, pulumi: str) -> None:
    """What was made to last, or is in doubt, would be missing from an undo's account."""
    script = place.argv.parent / "bin" / "pulumi"
    script.write_text(
        '#!/usr/bin/env bash\nargs=("${@/#\\/dev\\/fd\\/*//dev/null}")\n'
        f'exec "{pulumi}" "${{args[@]}}"\n'
    )
    result = await place.up(programs.one)
    assert result.failure is not None
    assert "did not tell all that it did" in result.failure.message
