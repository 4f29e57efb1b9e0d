"""Histories of workflows, and whether the workflow of today does what they say.

Those in `histories` are of real runs. To keep more: ALMA_TEST_RECORD=1, and the test that calls
`keep`.
"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from alma.journal.encryption import KEY, Keys
from alma.runner.temporal.payloads import converter
from alma.runner.temporal.worker import sandbox
from alma.runner.temporal.workflow import RunWorkflow

HISTORIES = Path(__file__).parent / "histories"
SEALED_BY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
"""The key of all journals here, so that what is kept of one run is opened by every other one."""


def replay(exported: dict[str, Any], workflow: type = RunWorkflow) -> None:
    """As a worker does that takes the workflow over; warnings are errors here."""
    replayer = Replayer(
        workflows=[workflow],
        workflow_runner=sandbox(),
        data_converter=converter(Keys(Path("journal.db"), {KEY: SEALED_BY})),
    )
    # It is not in what is exported, and is told to nobody.
    history = WorkflowHistory.from_json("alma/saga/dev", exported)
    asyncio.run(replayer.replay_workflow(history))


def keep(name: str, exported: dict[str, Any]) -> None:
    """Replay it; and keep it, where that is asked for."""
    replay(exported)
    if os.environ.get("ALMA_TEST_RECORD"):
        (HISTORIES / f"{name}.json").write_text(json.dumps(exported))


def stored() -> dict[str, dict[str, Any]]:
    """All that are kept, by name."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(HISTORIES.glob("*.json"))}
