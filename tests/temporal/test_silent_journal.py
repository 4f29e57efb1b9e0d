"""A journal on a server that says nothing any more, for longer than a heartbeat's limit."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from alma.core.events import OperationLeftInDoubt
from tests.services.temporal import Temporal
from tests.services.wire import Wire
from tests.temporal.stage import Stage
from tests.waiting import until

LIMIT = 8.0
"""Of heartbeats, in seconds: enough for a machine that does other things as well."""


def test_a_worker_that_waits_for_its_journal_is_not_taken_for_lost(
    tmp_path: Path, temporal: Temporal, database: str
) -> None:
    """The journal holds up its loop: heartbeats come from another one."""
    there = urlsplit(database)
    wire = Wire(str(there.hostname), int(there.port or 0))
    through = database.replace(f":{there.port}", f":{wire.port}")
    stage = Stage(tmp_path, temporal, database)
    stage.write()
    stage.hold("do b")
    try:
        stage.worker(ALMA_JOURNAL=through)
        up = stage.begin("up", "saga.py", "--yes", ALMA_TEMPORAL_HEARTBEAT=str(LIMIT))
        stage.begun("do b")
        wire.mute()
        since = datetime.now(UTC)
        until(
            lambda: _heard(stage) > since + timedelta(seconds=LIMIT),
            "it says that it is alive",
        )
        assert _pending(stage).get("attempt", 1) == 1
        wire.speak()
        wire.sever()
        stage.let_go("do b")
        assert stage.ended(up) == 0, stage.said()
        assert stage.notes == ["do a", "do b", "do c"]
        assert not any(isinstance(one, OperationLeftInDoubt) for one in stage.events)
    finally:
        stage.close()
        wire.close()


def _pending(stage: Stage) -> dict[str, str]:
    said = stage.temporal.cli("workflow", "describe", "-w", f"alma/{stage.target}", "-o", "json")
    (one,) = json.loads(said)["pendingActivities"]
    return dict(one)


def _heard(stage: Stage) -> datetime:
    said = _pending(stage).get("lastHeartbeatTime", "1970-01-01T00:00:00Z")
    return datetime.fromisoformat(said)
