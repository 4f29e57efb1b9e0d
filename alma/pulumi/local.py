"""The real engine: operations in worker processes, state read in this one. Imports no pulumi."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import structs
from msgspec.structs import replace

from alma.core.event_parts import NONE_GONE, Gone
from alma.core.events import Failure, Process
from alma.core.operation import Operation, Reconciled
from alma.core.redaction import mark_secrets
from alma.core.secret import secrets_in
from alma.errors import BackendError
from alma.pulumi import checkpoint as checkpoints
from alma.pulumi import plugins
from alma.pulumi.backend import Backend
from alma.pulumi.cli import Cli, PulumiCli, find_cli
from alma.pulumi.deployment import let_go, take_deployment
from alma.pulumi.direct import DirectReads
from alma.pulumi.engine import (
    Checkpoint,
    OperationResult,
    RestorePreview,
    RestoreRequest,
    RestoreResult,
    StackRef,
    UpRequest,
)
from alma.pulumi.left_locks import KnownOf, holder_of, nothing_known
from alma.pulumi.locks import Locks, locks_on
from alma.pulumi.machine import require_backend, require_machine
from alma.pulumi.messages import Task, TaskKind
from alma.pulumi.passphrase import check_passphrase, remember_new
from alma.pulumi.pending import needed_by_pending, resolve_pending
from alma.pulumi.performing import perform, perform_over
from alma.pulumi.recovery import Reconciliation
from alma.pulumi.restore.plan import RestorePlan
from alma.pulumi.restore.restore import Restoration, RestorePreviewer
from alma.pulumi.task import build_task, set_aside
from alma.pulumi.workers import Workers
from alma.system.scratch import scratch, sweep


class PulumiEngine:
    """`alma.pulumi.engine.Engine` over the Pulumi CLI that PATH gives.

    `cwd` is where programs and the default state live (the working directory). `environ` is what
    the processes inherit, looked at anew for every operation. `backend` and `kept` say where state
    goes: see `Backend.choose`. An `idle` one starts no worker before one is needed. Use it in one
    event loop, and `close` it. Constructing it starts nothing and writes nothing.
    """

    def __init__(
        self,
        *,
        parallelism: int = 4,
        cwd: str | os.PathLike[str] | None = None,
        environ: Mapping[str, str] | None = None,
        backend: str = "",
        kept: str = "",
        idle: bool = False,
        known: KnownOf = nothing_known,
    ) -> None:
        self._cwd = Path(cwd if cwd is not None else ".").absolute()
        self._environ: Mapping[str, str] = os.environ if environ is None else environ
        self._backend = Backend.choose(self._cwd, self._environ, asked=backend, kept=kept)
        self._workers = Workers(parallelism, self._environ)
        self._idle = idle
        self._known = known
        self._cli: Cli | None = None
        self._reads: dict[str, DirectReads] = {}
        self._proof: asyncio.Task[None] | None = None

    async def check(
        self, refs: Sequence[StackRef] = (), *, write: bool = False
    ) -> Mapping[str, str]:
        """See `Engine.check`; also starts the first worker, whose imports then overlap."""
        cli = await self._tool()
        used: dict[str, list[StackRef]] = {} if refs else {self._backend.url: []}
        for ref in refs:
            used.setdefault(self._of(ref).url, []).append(ref)
        for url, here in used.items():
            await self._check_backend(cli, self._backend.of(url), here, write=write)
        await asyncio.to_thread(sweep)
        common = self._backend.shown if self._backend.url in used else ""
        python = ".".join(str(part) for part in sys.version_info[:3])
        return {"pulumi": cli.version, "python": python, "backend": common}

    async def _check_backend(
        self, cli: Cli, backend: Backend, refs: Sequence[StackRef], *, write: bool
    ) -> None:
        backend.check(self._environ)
        reader = await self._reader(backend)
        await require_machine(reader, backend, refs, self._environ)
        if not self._idle:
            self._workers.warm()
        if backend.root is None:
            await require_backend(reader, backend, refs[:1] if write else ())
        await check_passphrase(reader, backend, refs, self._environ)
        await asyncio.to_thread(plugins.require, refs, backend.root, cli, self._environ)

    def where(self, ref: StackRef) -> str:
        """See `Engine.where`."""
        return self._of(ref).shown

    async def holder(self, ref: StackRef) -> str:
        """See `Engine.holder`; one CLI process where the backend has no directory."""
        return await holder_of(await self._locks(ref), partial(self._known, ref))

    async def inspect(self, ref: StackRef) -> Checkpoint:
        """See `Engine.inspect`; no process on a file backend."""
        backend = self._of(ref)
        if (root := backend.root) is not None:
            if not root.is_dir() and not backend.is_default:
                raise BackendError(f"The state directory {root} does not exist.")
            try:
                return await asyncio.to_thread(checkpoints.read, root, ref)
            except checkpoints.NeedsCli:
                pass
        return checkpoints.checkpoint_of(await self.export(ref), ref)

    async def reveal(self, ref: StackRef) -> Mapping[str, Any]:
        """See `Engine.reveal`; no process when nothing is encrypted."""
        sealed = (await self.inspect(ref)).outputs
        if not any(True for _ in secrets_in(sealed)):
            return sealed
        outputs = await (await self._reader(self._of(ref))).outputs(ref)
        return {key: checkpoints.fill(value, outputs.get(key)) for key, value in sealed.items()}

    async def compiled(self, ref: StackRef) -> tuple[str, ...]:
        """See `Engine.compiled`; one process, where there are dynamic resources of Python's."""
        resources = (await self.inspect(ref)).resources
        if not any(one.type.startswith(plugins.DYNAMIC) for one in resources):
            return ()
        reader = await self._reader(self._of(ref))
        document = await reader.deployment(ref, show_secrets=True)
        return plugins.compiled(document or {})

    async def up(self, request: UpRequest, operation: Operation) -> OperationResult:
        """See `Engine.up`; one CLI process, two for a new stack."""
        self._of(request.ref).prepare()
        task = await self._task("up", request.ref, request.log_dir, operation, request=request)
        result = await self._perform(task, operation, request.ref)
        if result.failure is not None:
            return result
        if request.create and self._proof is None:
            proof = remember_new(self._of(request.ref), request.ref, task.environment)
            self._proof = asyncio.create_task(proof)
        now = await self.inspect(request.ref)
        outputs = mark_secrets(now.outputs, secrets_in(dict(request.config)))
        outputs = {**dict.fromkeys(result.nulls), **outputs}
        return replace(result, outputs=outputs, fingerprint=now.fingerprint)

    async def preview(self, request: UpRequest, operation: Operation) -> OperationResult:
        """See `Engine.preview`; a stack without a record is previewed on a throw-away backend."""
        exists = (await self.inspect(request.ref)).exists
        own = self._of(request.ref).own_passphrase is not None
        with scratch("preview") as place:
            logs = request.log_dir or f"{place}/log"
            task = await self._task("preview", request.ref, logs, operation, request=request)
            task = set_aside(task, place, exists=exists, passphrase=own)
            return await perform(self._workers, task, operation, None)

    async def drift(self, ref: StackRef, operation: Operation) -> OperationResult:
        """See `Engine.drift`; one CLI process, which writes to a directory that is thrown away."""
        with scratch("drift") as place:
            task = await self._task("drift", ref, f"{place}/log", operation)
            return await perform(self._workers, set_aside(task, place), operation, None)

    async def destroy(
        self, ref: StackRef, log_dir: str, operation: Operation, program: UpRequest | None = None
    ) -> OperationResult:
        """See `Engine.destroy`; one CLI process, none when there is no record."""
        now = await self.inspect(ref)
        if not now.exists:
            return OperationResult()
        self._of(ref).prepare()
        task = await self._task("destroy", ref, log_dir, operation, request=program)
        if now.pending and program is None:
            needed = needed_by_pending(await self.export(ref), operation.redact)
            task = structs.replace(task, exclude=needed)
        return await self._perform(task, operation, ref)

    async def remove(self, ref: StackRef, log_dir: str, operation: Operation) -> OperationResult:
        """See `Engine.remove`; refuses while the state shows anything, pending operations too."""
        found = await self.inspect(ref)
        if not found.exists:
            return OperationResult()
        if not found.is_empty:
            what = f"{len(found.resources)} resources and {len(found.pending)} pending operations"
            return OperationResult(
                failure=Failure(
                    kind="unverified",
                    message=f"The record of {ref.project}/{ref.stack} still shows {what}.",
                    hint="Removing it would erase the last evidence of them: destroy it first.",
                )
            )
        task = await self._task("remove", ref, log_dir, operation)
        return await self._perform(task, operation, ref)

    async def export(self, ref: StackRef) -> Mapping[str, Any] | None:
        """See `Engine.export`; no process on a file backend, nor where `DirectReads` can do it."""
        backend = self._of(ref)
        reader = await self._reader(backend)
        if backend.root is not None:
            return await take_deployment(reader, backend.root, ref)
        reads = self._reads.setdefault(backend.url, DirectReads(backend.url, self._environ))
        return await reads.take(reader, ref)

    async def restore(self, request: RestoreRequest, operation: Operation) -> RestoreResult:
        """See `Engine.restore`; four CLI processes where there are secrets, else one."""
        reader, root = await self._reader(self._of(request.ref)), self._of(request.ref).root

        async def play(replay: RestorePlan, config: Mapping[str, Any]) -> OperationResult:
            task = await self._replay_task("restore", request, operation, replay, config)
            return await self._perform(task, operation, request.ref)

        async def look(document: Mapping[str, Any], urns: tuple[str, ...]) -> frozenset[str]:
            task = await self._task("look", request.ref, request.log_dir, operation)
            task = structs.replace(task, targets=urns)
            result = await perform_over(self._workers, task, document, request.ref, operation)
            gone = {one.urn for one in result.resources if one.op == "delete"}
            return frozenset(gone) & frozenset(urns)

        directory = Path(request.ref.work_dir or self._cwd)
        return await Restoration(
            reader=reader,
            root=root,
            directory=directory,
            request=request,
            operation=operation,
            play=play,
            look=look,
        ).run()

    async def preview_restore(
        self, request: RestoreRequest, operation: Operation
    ) -> RestorePreview:
        """See `Engine.preview_restore`; over a copy of the state, on a throw-away backend."""
        reader, root = await self._reader(self._of(request.ref)), self._of(request.ref).root

        async def play(
            replay: RestorePlan, config: Mapping[str, Any], document: Mapping[str, Any]
        ) -> OperationResult:
            with scratch("preview") as place:
                asked = replace(request, log_dir=request.log_dir or f"{place}/log")
                task = await self._replay_task("foresee", asked, operation, replay, config)
                return await perform_over(self._workers, task, document, request.ref, operation)

        directory = Path(request.ref.work_dir or self._cwd)
        return await RestorePreviewer(
            reader=reader, root=root, directory=directory, request=request, play=play
        ).run()

    async def resolve_pending(
        self, ref: StackRef, found: Mapping[str, str], operation: Operation
    ) -> None:
        """See `Engine.resolve_pending`; two CLI processes."""
        await resolve_pending(await self._reader(self._of(ref)), ref, found, operation)

    async def let_go(
        self, ref: StackRef, taken: Collection[tuple[str, str]], operation: Operation
    ) -> None:
        """See `Engine.let_go`; two CLI processes."""
        await let_go(await self._reader(self._of(ref)), ref, taken, operation)

    async def reconcile(
        self, ref: StackRef, operation: str, processes: tuple[Process, ...], gone: Gone = NONE_GONE
    ) -> Reconciled:
        """See `Engine.reconcile`. Raises `RefusedError` when somebody else holds the lock."""
        return await Reconciliation(ref, operation, processes, await self._locks(ref), gone).run()

    async def close(self) -> None:
        """See `Engine.close`; operations that still run are abandoned to drain."""
        if self._proof is not None:
            await asyncio.gather(self._proof, return_exceptions=True)
        await self._workers.close()

    async def _tool(self) -> Cli:
        if self._cli is None:
            self._cli = await asyncio.to_thread(find_cli, self._environ)
        return self._cli

    def _of(self, ref: StackRef) -> Backend:
        return self._backend.of(ref.backend)

    async def _reader(self, backend: Backend) -> PulumiCli:
        cli = await self._tool()
        return PulumiCli(cli=cli.path, environment=backend.environment(self._environ))

    async def _locks(self, ref: StackRef) -> Locks | None:
        return locks_on(self._of(ref), ref, await self._reader(self._of(ref)))

    async def _task(
        self,
        kind: TaskKind,
        ref: StackRef,
        log_dir: str,
        operation: Operation,
        *,
        request: UpRequest | None = None,
    ) -> Task:
        return build_task(
            kind,
            ref,
            request,
            operation=operation.id,
            log_dir=log_dir,
            cli=await self._tool(),
            backend=self._of(ref),
            cwd=self._cwd,
            environ=self._environ,
        )

    async def _replay_task(
        self,
        kind: TaskKind,
        request: RestoreRequest,
        operation: Operation,
        replay: RestorePlan,
        config: Mapping[str, Any],
    ) -> Task:
        up = UpRequest(ref=request.ref, config=config, log_dir=request.log_dir)
        task = await self._task(kind, request.ref, up.log_dir, operation, request=up)
        # The values are for providers, and for the engine alone to know.
        sealed = {**task.sealed, **task.injected}
        secrets = (*task.secrets, *replay.secrets)
        return structs.replace(task, replay=replay, sealed=sealed, injected={}, secrets=secrets)

    async def _perform(self, task: Task, operation: Operation, ref: StackRef) -> OperationResult:
        locks = await self._locks(ref)
        known = partial(self._known, ref)
        return await perform(self._workers, task, operation, locks, self._backend.root, known)
