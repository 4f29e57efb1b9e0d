"""One trace from a run into the spans of the real CLI."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pulumi

from alma import Saga
from alma.system.trace_context import span_id, trace_id

if TYPE_CHECKING:
    import pytest


def test_the_spans_of_the_cli_are_below_the_one_of_their_operation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TRACEPARENT", raising=False)
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    monkeypatch.setenv("PULUMI_OPTION_OTEL_TRACES", f"file://{tmp_path}/cli.json")
    saga = Saga("traced")
    saga.add_stack("one", lambda: pulumi.export("x", 1))
    result = saga.run()
    spans = [
        span
        for line in (tmp_path / "cli.json").read_text().splitlines()
        for resource in json.loads(line)["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
        if span["traceId"] == f"{trace_id(result.run_id, {}):032x}"
    ]
    operations = [entry.event.operation for entry in _intended(tmp_path, result.run_id)]
    ours = {f"{span_id('operation', one):016x}" for one in operations}
    assert ours & {span.get("parentSpanId") for span in spans}


def _intended(directory: Path, run: str) -> list[object]:
    from alma.core.events import OperationIntended
    from alma.journal import open_journal

    with open_journal(directory / ".alma" / "journal.db", write=False) as journal:
        return [one for one in journal.events(run) if isinstance(one.event, OperationIntended)]
