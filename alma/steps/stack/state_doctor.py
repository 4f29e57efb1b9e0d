"""Where stacks keep their state here, who holds them, and the mend. Touches nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from msgspec import structs

from alma.core.run import RunStatus, SagaState, StepStatus
from alma.core.secret import MASK
from alma.core.validation import NAME
from alma.errors import AlmaError
from alma.pulumi.backend import Backend
from alma.pulumi.cli import Cli, PulumiCli
from alma.pulumi.engine import StackRef
from alma.pulumi.locks import FileLocks, Lock, Locks, locks_of, locks_on
from alma.pulumi.machine import require_machine
from alma.pulumi.passphrase import check_passphrase
from alma.steps.base import Check, DoctorOptions
from alma.steps.stack.places import backends_of
from alma.system.processes import HOST

_PATIENCE: Final = 120.0
"""Seconds for each question to a CLI: that one hangs is what `doctor` is asked for."""
_ANY: Final = (StackRef(project="any", stack="any"),)
"""All stacks on one backend have their directories in one place."""


class StateDoctor:
    """The backend that a new run here would have, and those of the last run of each target.

    `backends` have the stacks in each that runs have made or may go on with: all but those that
    are gone.
    """

    def __init__(self, asked: DoctorOptions, cli: Cli | None) -> None:
        self._asked = asked
        self._cli = cli
        self._problem: AlmaError | None = None
        try:
            self._here = Backend.choose(asked.cwd, asked.environ)
        except AlmaError as error:
            self._problem = error
            default = (asked.cwd / ".alma" / "state").as_uri()
            self._here = Backend.choose(asked.cwd, asked.environ, asked=default)
        self.backends: dict[Backend, list[StackRef]] = {self._here: []}
        for run in asked.runs:
            for step in run.steps.values():
                backend = self.of(run, step) if step.definition.project else None
                if backend is not None and step.state is not SagaState.COMPENSATED:
                    self.backends.setdefault(backend, []).append(_ref(run, step))

    def of(self, run: RunStatus, step: StepStatus) -> Backend | None:
        """Where the step's stack is; None where nobody here knows the credentials."""
        url = backends_of(run, self._asked.journal)[step.name]
        if url in ("", self._here.shown):
            return self._here
        there = structs.replace(self._here, is_forced=False).of(url)
        return there if MASK not in url else None

    async def examine(self) -> list[Check]:
        """The backends, the passphrase, and the locks."""
        checks = []
        for backend, refs in self.backends.items():
            if backend is self._here and (why := self._problem) is not None:
                found = Check(name="backend", level="fail", message=why.message, mend=why.hint)
            else:
                found = await self._backend(backend, refs)
            checks.append(found)
        words = [await self._passphrase(*found) for found in self.backends.items()]
        checks += dict.fromkeys(words)
        for backend in self.backends:
            checks += _file_locks(backend)
        for run in self._asked.runs:
            if run.state is SagaState.FAILED or not run.state.is_final:
                for step in run.started():
                    checks += await self._asked_locks(run, step)
        return checks

    def _may_ask(self, backend: Backend) -> bool:
        """Credentials go only to where the user's own settings say, not the journal's alone."""
        return backend.root is not None or backend is self._here or self._asked.remote

    async def _backend(self, backend: Backend, refs: Sequence[StackRef]) -> Check:
        environ = self._asked.environ
        if not self._may_ask(backend):
            mend = "To ask it: alma-pulumi doctor --remote"
            message = f"{backend.shown}, which the journal names, was not asked"
            return Check(name="backend", level="ok", message=message, mend=mend)
        try:
            backend.check(environ)
            if self._cli is not None:
                reader = self._reader(self._cli, backend)
                await require_machine(reader, backend, refs or _ANY, environ)
                if backend.root is None:
                    await reader.whoami()
        except AlmaError as error:
            return Check(name="backend", level="fail", message=error.message, mend=error.hint)
        later = " (made by the first run)" if backend.root and not backend.root.exists() else ""
        return Check(name="backend", level="ok", message=f"{backend.shown}{later}")

    async def _passphrase(self, backend: Backend, refs: Sequence[StackRef]) -> Check:
        environ = self._asked.environ
        try:
            if self._cli is not None and self._may_ask(backend):
                reader = self._reader(self._cli, backend)
                await check_passphrase(reader, backend, refs, environ, remember=False)
        except AlmaError as error:
            return Check(name="passphrase", level="fail", message=error.message, mend=error.hint)
        return _passphrase(backend, environ)

    async def _asked_locks(self, run: RunStatus, step: StepStatus) -> list[Check]:
        """Of a stack that an unfinished run has to do with, where only the CLI can be asked."""
        place = self.of(run, step) if step.definition.project else None
        if place is None or place.root is not None or self._cli is None:
            return []
        if not self._may_ask(place):
            return []
        ref = _ref(run, step)
        locks = locks_on(place, ref, self._reader(self._cli, place))
        try:
            found = await locks.look() if locks is not None else ()
        except AlmaError:
            return []  # The backend's own line says so.
        return [_lock(ref, lock, locks) for lock in found if locks is not None]

    def _reader(self, cli: Cli, backend: Backend) -> PulumiCli:
        environment = backend.environment(self._asked.environ)
        return PulumiCli(cli=cli.path, environment=environment, patience=_PATIENCE)


def _ref(run: RunStatus, step: StepStatus) -> StackRef:
    work_dir = step.definition.work_dir
    return StackRef(
        project=step.definition.project,
        stack=run.definition.stack,
        work_dir=work_dir if Path(work_dir).is_dir() else "",
        backend=step.definition.backend,
        organization=run.definition.organization,
    )


def _passphrase(backend: Backend, environ: Mapping[str, str]) -> Check:
    own = backend.own_passphrase
    if own is None:
        by = "PULUMI_CONFIG_PASSPHRASE"
        message = f"from {by if by in environ else f'{by}_FILE'}"
    elif not own.exists():
        message = f"{own} (made by the first run)"
    elif own.stat().st_mode & 0o077:
        mend = f"chmod 600 {own}"
        message = f"{own} can be read by others"
        return Check(name="passphrase", level="warn", message=message, mend=mend)
    else:
        message = str(own)
    return Check(name="passphrase", level="ok", message=message)


def _file_locks(backend: Backend) -> Iterator[Check]:
    if backend.root is None:
        return
    folder = backend.root / ".pulumi" / "locks" / "organization"
    for directory in sorted(folder.glob("*/*")):
        if not (NAME.fullmatch(directory.parent.name) and NAME.fullmatch(directory.name)):
            continue  # None of alma's.
        ref = StackRef(project=directory.parent.name, stack=directory.name)
        for lock in locks_of(backend.root, ref):
            yield _lock(ref, lock, FileLocks(root=backend.root, ref=ref))


def _lock(ref: StackRef, lock: Lock, locks: Locks) -> Check:
    message = f"stack {ref.project}/{ref.stack} is locked by {lock.holder}"
    way = locks.way_out(lock)
    if lock.is_proven_dead():
        mend = (
            f"Its holder is not here: resume its run, or {way}. If it was in "
            "a container of this host's name, see there first"
        )
        return Check(name="lock", level="warn", message=message, mend=mend)
    if lock.host == HOST:
        return Check(name="lock", level="ok", message=f"{message}, who may be at work")
    mend = f"Wait for it to end. If its host is gone: resume its run with --host-is-gone, or {way}"
    return Check(name="lock", level="warn", message=message, mend=mend)
