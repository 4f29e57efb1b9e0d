"""The attacker: somebody who can write the journal's directory, and has not the user's key."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from alma.core.definition import Definition, StepDefinition
from alma.core.events import Event, RunCreated, RunnerAttached
from alma.journal import open_journal

SAGA = """
from alma import Saga

saga = Saga("shop", stack="dev")
saga.add_step("database", action=lambda: None, compensation=lambda: None)
"""
OWNED = "open('owned', 'w').close()\n"
"""Code that leaves a trace when it runs."""


def key(word: str) -> str:
    """Somebody's key."""
    return base64.urlsafe_b64encode(hashlib.sha256(word.encode()).digest()).decode()


@contextmanager
def somebody_else(directory: Path) -> Iterator[None]:
    """Another user, or another machine: the key is another one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(directory / "another-state"))
        yield


def plant(path: Path, steps: list[StepDefinition], *events: Event, **created: Any) -> str:
    """Write an interrupted run of shop/dev, with the chain and all that goes with it."""
    definition = Definition(saga="shop", stack="dev", steps=tuple(steps))
    first = RunCreated(
        saga="shop",
        stack="dev",
        kind="up",
        definition=definition.to_json(),
        digest=definition.digest,
        **created,
    )
    with open_journal(path, write=True) as journal:
        run = f"20991231-235959-000-{len(journal.runs(limit=None)):04x}"
        with journal.acquire("shop/dev", run) as lease:
            journal.create_run(run, first, lease)
            for event in (RunnerAttached(process=lease.process, actor="somebody"), *events):
                journal.append(run, event, lease)
    return run


def files_below(directory: Path) -> dict[str, bytes]:
    """All that is in a directory, by name."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }
