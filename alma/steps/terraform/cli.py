"""The Terraform or OpenTofu CLI on one root module. Secrets never stand in its arguments.

Variables reach it through its stdin: the file that `-var-file` names is a link to it. So they
are on no disk and in no environment that a provisioner would inherit.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from alma.core.definition import StepDefinition
from alma.core.redaction import Redactor
from alma.core.secret import Secret, unwrap
from alma.errors import BackendError, ToolError
from alma.steps.terraform import output as tfui
from alma.steps.terraform import state as tfstate
from alma.system import files
from alma.system.environment import TERRAFORM, without_flags
from alma.system.programs import Command, ProgramRunner, read

PROGRAMS: Final = ("terraform", "tofu")
"""What is looked for on PATH, in this order."""
CHOICE: Final = "ALMA_TERRAFORM"
"""Environment variable that names the CLI where a step does not."""

_NOISY: Final = ("TF_LOG", "TF_LOG_CORE", "TF_LOG_PROVIDER", "TF_LOG_PATH")
"""They would put variables, secret ones too, into a log."""
_UNINITIALISED: Final = ("initialization required", "terraform init", "tofu init")


def locate(program: str, environ: Mapping[str, str]) -> str:
    """The CLI's path; ToolError when there is none."""
    asked = program or environ.get(CHOICE, "")
    for name in [asked] if asked else PROGRAMS:
        found = shutil.which(name, path=environ.get("PATH"))
        if found:
            return str(Path(found).absolute())
    what = f"The program {asked}" if asked else "Terraform"
    raise ToolError(
        f"{what} was not found{'' if asked else ' (neither terraform nor tofu is on PATH)'}.",
        hint="Install Terraform or OpenTofu, or name its CLI with program= or "
        f"{CHOICE}. OpenTofu: https://opentofu.org/docs/intro/install/",
    )


def module_of(step: StepDefinition) -> Terraform:
    """The module of a step, by its definition alone."""
    return Terraform(
        work_dir=Path(step.work_dir),
        program=step.settings["program"],
        workspace=step.settings.get("workspace", ""),
    )


class UninitialisedError(BackendError):
    """The module's backend was never initialised in its directory."""


@dataclass(frozen=True, kw_only=True)
class CommandResult:
    """How `apply`, `destroy` or `plan` ended. `broken` are holders of locks that were broken."""

    account: tfui.TerraformLog
    code: int
    command: str
    broken: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """By its exit code alone, which proves nothing of a destroy."""
        return self.code == 0


@dataclass(frozen=True, kw_only=True)
class Terraform:
    """One root module and the CLI for it."""

    work_dir: Path
    program: str = ""
    workspace: str = ""
    """Where it is not the one that is selected in the directory."""

    def environment(self) -> dict[str, str]:
        """As the user has it, made quiet, without flags."""
        passed = without_flags(os.environ, TERRAFORM)
        env = {key: value for key, value in passed.items() if key not in _NOISY}
        if self.workspace:
            env["TF_WORKSPACE"] = self.workspace
        return {**env, "TF_IN_AUTOMATION": "1", "TF_INPUT": "0", "CHECKPOINT_DISABLE": "1"}

    def locate(self) -> str:
        """The CLI's path; ToolError when there is none."""
        return locate(self.program, os.environ)

    def require(self) -> None:
        """Raise ToolError where it cannot be found, or not be given what it must not show."""
        self.locate()
        if not os.path.exists(STDIN):  # noqa: PTH110 - a link to what has no path of its own
            raise ToolError(
                f"Terraform cannot be given its variables: there is no {STDIN} here.",
                hint="Give the container a /dev and a /proc: values stand in no file and no "
                "argument.",
            )

    # -- looking -----------------------------------------------------------------------------

    async def state(self, *, initialise: bool = True) -> tfstate.State:
        """The state as it is; BackendError when it cannot be read.

        A backend that was never initialised here is, because nothing can be seen before; or it
        is an UninitialisedError.
        """
        code, out, err = await self._read("state", "pull")
        if code != 0 and any(word in err for word in _UNINITIALISED):
            if not initialise:
                raise UninitialisedError(f"{self.work_dir} was never initialised.")
            await self._read("init", *_QUIET)
            code, out, err = await self._read("state", "pull")
        self._require(code, err)
        return tfstate.parse(out)

    async def listed(self) -> tuple[str, ...]:
        """The addresses in the state by `state list`; BackendError when it cannot be read."""
        code, out, err = await self._read("state", "list", "-no-color")
        if code != 0 and "No state file was found" in err:
            return ()
        self._require(code, err)
        return tuple(line for line in out.splitlines() if line.strip())

    async def outputs(self) -> dict[str, Any]:
        """The root module's outputs; a sensitive one is a `Secret`."""
        code, out, err = await self._read("output", "-json", "-no-color")
        self._require(code, err)
        found = json.loads(out or "{}")
        return {
            name: Secret(entry["value"]) if entry.get("sensitive") else entry["value"]
            for name, entry in found.items()
        }

    async def plan(
        self, values: Mapping[str, Any], logs: Path, *flags: str
    ) -> tfui.TerraformLog | None:
        """What `apply` would do; None in a directory that was never initialised."""
        link = _link(logs)
        code, out, err = await self._read(
            *("plan", "-json", "-lock=false", *_QUIET, *flags, f"-var-file={link}"),
            stdin=_stdin(values),
        )
        account = tfui.read(out)
        words = f"{account.errors} {err}"
        if code != 0 and any(word in words for word in _UNINITIALISED):
            return None
        if code != 0 and not account.errors:
            account.plain.append(err)
            account.errors.append({"summary": tfui.bare(err)})
        return account

    async def refreshed(
        self, values: Mapping[str, Any], place: Path
    ) -> tuple[tfui.TerraformLog | None, Mapping[str, Any]]:
        """What is not as the state has it: a plan that only refreshes, and its document.

        The plan, which has secrets, is in `place`, for the caller to throw away.
        """
        out = place / "refreshed"
        account = await self.plan(values, place / "plan", "-refresh-only", f"-out={out}")
        if account is None or account.errors:
            return account, {}
        code, said, err = await self._read("show", "-json", "-no-color", str(out))
        self._require(code, err)
        found: dict[str, Any] = json.loads(said)
        return account, found

    async def _read(self, *arguments: str, stdin: bytes | None = None) -> tuple[int, str, str]:
        argv = [self.locate(), *arguments]
        return await read(argv, self.work_dir, self.environment(), stdin)

    def _require(self, code: int, err: str) -> None:
        if code != 0:
            raise BackendError(
                f"The Terraform state of {self.work_dir} cannot be read: {tfui.bare(err)}"
            )

    # -- changing ----------------------------------------------------------------------------

    async def operate(
        self,
        command: str,
        values: Mapping[str, Any],
        logs: Path,
        programs: ProgramRunner,
        cut_off: Callable[[], tfstate.CutOff],
    ) -> CommandResult:
        """`init`, then `apply` or `destroy`; once more when a dead holder's lock was broken.

        That was held by one of the processes that `cut_off` gives, which reads the journal.
        `logs` is made; what the programs said is in `terraform.log` there, without secrets.
        """
        variables = f"-var-file={_link(logs)}"
        redact = programs.operation.redact
        redact.learn(list(values.values()))
        ended = await self._run(("init", *_QUIET), None, logs, programs, redact)
        if ended is None or not ended.ok:
            return ended or _not_started("init")
        broken: tuple[str, ...] = ()
        while True:
            began = time.time()
            arguments = (command, "-auto-approve", "-json", *_QUIET, variables)
            ended = await self._run(arguments, _stdin(values), logs, programs, redact)
            if ended is None:
                return _not_started(command)
            lock = ended.account.lock
            if lock is None or lock.who in broken or not await _is_dead(lock, began, cut_off):
                return CommandResult(
                    account=ended.account, code=ended.code, command=command, broken=broken
                )
            unlock = ("force-unlock", "-force", lock.id)
            await self._run(unlock, None, logs, programs, redact)
            broken = (*broken, lock.who)

    async def forget(
        self, addresses: Sequence[str], logs: Path, programs: ProgramRunner
    ) -> CommandResult:
        """Take these out of the state; they stay where they are."""
        files.make_directory(logs)
        arguments = ("state", "rm", *addresses)
        ended = await self._run(arguments, None, logs, programs, Redactor())
        return ended or _not_started("state rm")

    async def _run(
        self,
        arguments: tuple[str, ...],
        stdin: bytes | None,
        logs: Path,
        programs: ProgramRunner,
        redact: Redactor,
    ) -> CommandResult | None:
        raw = logs / RAW
        command = Command(
            argv=[self.locate(), *arguments],
            cwd=self.work_dir,
            environment=self.environment(),
            output=raw,
            stdin=stdin,
            private=True,
        )
        code = await programs.run(command)
        if code is None:
            return None
        account = clean(logs, redact)
        return CommandResult(account=account, code=code, command=arguments[0])


async def _is_dead(lock: tfui.Lock, began: float, cut_off: Callable[[], tfstate.CutOff]) -> bool:
    known = await asyncio.to_thread(cut_off)
    return tfstate.is_of_gone(lock, known) or tfstate.is_proven_dead(lock, began, known.processes)


RAW: Final = "terraform.jsonl"
"""In an operation's log directory while it runs: as the CLI wrote it, secrets included."""
STDIN: Final = "/dev/stdin"
_QUIET: Final = ("-input=false", "-no-color")


def clean(logs: Path, redact: Redactor | None) -> tfui.TerraformLog:
    """Take the raw output in, keep it as a log without secrets, and delete it.

    Without a redactor nobody knows the secrets any more: what could hold one is left out.
    """
    raw = logs / RAW
    try:
        with files.open_own(raw) as said:
            text = said.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return tfui.TerraformLog()
    account = tfui.read(text, quiet=redact is None)
    words = "".join(f"{line}\n" for line in account.lines)
    with files.open_log(logs / "terraform.log") as log:
        log.write((redact(words) if redact else words).encode())
    raw.unlink()
    return account


def _not_started(command: str) -> CommandResult:
    return CommandResult(account=tfui.TerraformLog(), code=-1, command=command)


def _link(logs: Path) -> Path:
    """The name by which Terraform reads its stdin as JSON."""
    files.make_new_directory(logs)
    link = logs / "stdin.tfvars.json"
    if not link.is_symlink():
        link.symlink_to(STDIN)
    return link


def _stdin(values: Mapping[str, Any]) -> bytes:
    return json.dumps(unwrap(dict(values))).encode()
