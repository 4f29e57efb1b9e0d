"""The commands of one operation: what each is given, and what has become of it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from alma.core.events import Failure
from alma.core.operation import Context
from alma.core.secret import unwrap
from alma.steps.command.argv import OWN, SHELL, as_variable, find_program, require_program
from alma.steps.command.outputs import read_outputs
from alma.system import files
from alma.system.programs import Command, ProgramRunner, read
from alma.system.tail import last_bytes, last_lines

GONE: Final = (1,)
"""The exit code of a check by which it says that it is not there, where none is named."""
_LOOKS: Final = 60.0
"""Seconds for a check before the first operation, where the step has no timeout."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where and how the commands of a step are run.

    `programs` says where each program was when the run began; what it lacks is looked for.
    """

    where: str
    work_dir: Path
    by_stdin: bool = False
    programs: Mapping[str, str] = field(default_factory=dict)

    def argv(self, command: str | list[str]) -> list[str]:
        """What is started. Raises ToolError where that is not there."""
        if isinstance(command, str):
            return [SHELL, "-c", command]
        program = self.programs.get(command[0])
        if program is None:
            program = find_program(command, self.work_dir, os.environ)
        require_program(self.where, command[0], program)
        return [program, *command[1:]]

    def environment(self, context: Context, **own: str) -> dict[str, str]:
        """This process's, with the inputs unless they go by stdin, and what alma says."""
        env = {key: value for key, value in os.environ.items() if key not in OWN}
        if not self.by_stdin:
            env |= {key: as_variable(unwrap(value)) for key, value in context.inputs.items()}
        return {**env, "ALMA_KEY": context.key, "ALMA_OUTPUT": os.devnull, **own}

    def stdin(self, context: Context) -> bytes | None:
        """The inputs as JSON, where they go so."""
        return json.dumps(unwrap(dict(context.inputs))).encode() if self.by_stdin else None


class Calling:
    """Runs commands in one operation; what is private of them is gone when it is left."""

    def __init__(self, place: Place, programs: ProgramRunner, logs: Path, *, doubt: bool) -> None:
        self.place, self.programs, self.logs, self.doubt = place, programs, logs, doubt

    async def run(
        self,
        what: str,
        command: str | list[str],
        context: Context,
        result: Mapping[str, Any] | None = None,
    ) -> Ended:
        """Run it; `what` it is (do, undo, check) is in its words and names its log."""
        argv = self.place.argv(command)
        private = self.logs / files.PRIVATE
        files.make_new_directory(self.logs)
        files.make_directory(private)
        own = {"ALMA_IN_DOUBT": "1"} if self.doubt else {}
        if result is None:
            files.replace(output_in(self.logs), "", durable=False)
            own["ALMA_OUTPUT"] = str(output_in(self.logs))
        else:
            own["ALMA_RESULT"] = str(private / "result.json")
            content = json.dumps(unwrap(dict(result)))
            files.replace(private / "result.json", content, durable=False)
        log = self.logs / f"{what}.log"
        code = await self.programs.run(
            Command(
                argv=argv,
                cwd=self.place.work_dir,
                environment=self.place.environment(context, **own),
                output=log,
                stdin=self.place.stdin(context),
                whole=True,
            )
        )
        words = last_lines(last_bytes(log), 1)
        return Ended(what=what, program=Path(argv[0]).name, code=code, said="".join(words))

    def outputs(self) -> dict[str, Any]:
        """What was written to ALMA_OUTPUT. Raises NoOutputsError."""
        return read_outputs(output_in(self.logs))

    def close(self) -> None:
        """Clean what was logged, and remove what was given: unless a program goes on with it."""
        if not self.programs.running:
            files.clean_logs(self.logs, self.programs.operation.redact)
            clean(self.logs)


def output_in(logs: Path) -> Path:
    """The file that ALMA_OUTPUT names."""
    return logs / files.PRIVATE / "output"


def clean(logs: Path) -> None:
    """Remove what the commands of an operation were given."""
    shutil.rmtree(logs / files.PRIVATE, ignore_errors=True)


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a command ended. No `code`: it was not started, since the operation is to end."""

    what: str
    program: str
    code: int | None
    said: str = ""

    @property
    def words(self) -> str:
        """In words, with the last line that it has printed."""
        if self.code is None:
            return f"{self.what} ({self.program}) {self.said or 'was not started'}"
        how = f"ended with exit code {self.code}" if self.code >= 0 else _signalled(-self.code)
        return f"{self.what} ({self.program}) {how}" + (f": {self.said}" if self.said else "")

    def failure(self, kind: str = "program") -> Failure:
        """As a failure of the operation."""
        return Failure(kind=kind, message=self.words)


def _signalled(number: int) -> str:
    import signal

    try:
        return f"was ended by {signal.Signals(number).name}"
    except ValueError:
        return f"was ended by signal {number}"


async def look(
    place: Place, command: str | list[str], context: Context, seconds: float | None
) -> Ended:
    """Run a check that belongs to no operation yet."""
    argv = place.argv(command)
    asked = read(argv, place.work_dir, place.environment(context), place.stdin(context))
    limit = _LOOKS if seconds is None else seconds
    try:
        code, out, err = await asyncio.wait_for(asked, limit)
    except TimeoutError:
        words = f"did not end within {limit:g} s"
        return Ended(what="check", program=Path(argv[0]).name, code=None, said=words)
    said = [line for line in f"{out}\n{err}".splitlines() if line.strip()][-1:]
    return Ended(what="check", program=Path(argv[0]).name, code=code, said="".join(said))
