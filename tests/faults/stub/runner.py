"""What a runner of a trial does: the saga of its plan, through alma as anybody calls it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from alma import Saga
from alma.core.result import SagaEndedError
from alma.errors import AlmaError
from alma.runner import destroy, resume, rollback, up
from alma.runner.settings import Settings
from tests.faults.real import things

SAGA, STACK = "k", "dev"


def program() -> None:
    """Every stack's program: the stub reads from its plan what it would make."""


def saga_of(plan: dict[str, Any]) -> Saga:
    """A chain, or as far as the plan says a DAG, of the plan's projects."""
    saga = Saga(SAGA, stack=STACK, parallelism=plan["parallelism"])
    for project, entry in plan["projects"].items():
        saga.add_stack(
            project.removeprefix(f"{SAGA}-"),
            program=things.program_of(entry, plan["delay"]) if plan["real"] else program,
            after=entry["after"],
            compensation=entry["compensation"],
        )
    return saga


def run(task: dict[str, Any]) -> int:
    """Do what the task says; the exit code is alma's."""
    plan = json.loads(Path(task["directory"], "world", "plan.json").read_text())
    settings = Settings(journal=task["journal"], grace=5.0, versions={})
    calls = {
        "up": lambda: up(saga_of(plan), settings=settings),
        "resume": lambda: resume(saga=saga_of(plan), settings=settings),
        "rollback": lambda: rollback(saga=saga_of(plan), settings=settings),
        "destroy": lambda: destroy(saga_of(plan), settings=settings, remove=True),
    }
    try:
        asyncio.run(calls[task["operation"]]())  # type: ignore[arg-type]
    except SagaEndedError as error:
        return error.result.exit_code
    except AlmaError as error:
        print(f"{type(error).__name__}: {error}", flush=True)  # noqa: T201 - to the trial's log
        return error.exit_code
    return 0
