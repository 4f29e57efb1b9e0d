"""Histories of workflows, and whether the workflow of today does what they say.

Those in `histories` are of real runs. To keep more: ALMA_TEST_RECORD=1, and the test that calls
`keep`.
"""

from __future__ import annotations

import asyncio
import base64
import getpass
import json
import os
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from alma.journal.encryption import KEY, Keys
from alma.runner.temporal.payloads import converter
from alma.runner.temporal.worker import sandbox
from alma.runner.temporal.workflow import RunWorkflow

HISTORIES = Path(__file__).parent / "histories"
SEALED_BY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
"""The key of all journals here, so that what is kept of one run is opened by every other one."""
KEYS = Keys(Path("journal.db"), {KEY: SEALED_BY})
TRACE = re.compile(r'"stack_trace":"(?:[^"\\]|\\.)*"')


def replay(exported: dict[str, Any], workflow: type = RunWorkflow) -> None:
    """As a worker does that takes the workflow over; warnings are errors here."""
    replayer = Replayer(
        workflows=[workflow],
        workflow_runner=sandbox(),
        data_converter=converter(KEYS),
    )
    # It is not in what is exported, and is told to nobody.
    history = WorkflowHistory.from_json("alma/saga/dev", exported)
    asyncio.run(replayer.replay_workflow(history))


def keep(name: str, exported: dict[str, Any]) -> None:
    """Replay it; and keep it, where that is asked for."""
    replay(exported)
    if os.environ.get("ALMA_TEST_RECORD"):
        (HISTORIES / f"{name}.json").write_text(json.dumps(said_of_nobody(exported)))


def said_of_nobody(exported: dict[str, Any]) -> dict[str, Any]:
    """The same without this machine, its user and its paths, also where it is sealed."""
    host, user = re.escape(socket.gethostname()), re.escape(getpass.getuser())

    def text(found: str) -> str:
        found = re.sub(rf"(?<=@){host}(?=$|-[0-9a-f]{{32}}$)|(?<![\w-]){host}(?=#)", "host", found)
        return TRACE.sub('"stack_trace":""', re.sub(rf"\b{user}(?=@host$)", "user", found))

    found: dict[str, Any] = rewritten(exported, text, KEYS)
    return found


def rewritten(tree: Any, text: Callable[[str], str], keys: Keys) -> Any:
    """A tree with what `text` makes of each text in it, also in payloads, sealed or not."""
    if isinstance(tree, dict):
        if "metadata" in tree and isinstance(data := tree.get("data"), str):
            return {**tree, "data": _payload(data, text, keys)}
        return {name: rewritten(each, text, keys) for name, each in tree.items()}
    if isinstance(tree, list):
        return [rewritten(each, text, keys) for each in tree]
    return text(tree) if isinstance(tree, str) else tree


def _payload(data: str, text: Callable[[str], str], keys: Keys) -> str:
    raw = base64.b64decode(data).decode()
    if not raw.startswith("gAAA"):
        made = text(raw)
    else:
        payload = Payload.FromString(base64.b64decode(keys.unseal(raw)))
        before = payload.data.decode()
        payload.data = text(before).encode()
        if payload.data.decode() == before:
            return data
        made = keys.seal(base64.b64encode(payload.SerializeToString()).decode())
    return base64.b64encode(made.encode()).decode()


def opened(tree: Any, keys: Keys = KEYS) -> str:
    """All texts of a tree, and what is in its payloads."""
    found: list[str] = []

    def note(text: str) -> str:
        found.append(text)
        return text

    rewritten(tree, note, keys)
    return "\n".join(found)


def stored() -> dict[str, dict[str, Any]]:
    """All that are kept, by name."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(HISTORIES.glob("*.json"))}
