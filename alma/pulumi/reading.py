"""What only the CLI can tell, asked directly: no worker, no language, nothing left on disk."""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alma.core.struct import Frozen
from alma.errors import AlmaError, AuthenticationError, BackendError
from alma.pulumi.checkpoint import parse_export
from alma.pulumi.engine import Checkpoint, StackRef
from alma.pulumi.failures import AUTHENTICATION, translate
from alma.pulumi.mending import mend
from alma.pulumi.project import settings_path, write_project

_NOT_FOUND = 6
"""The CLI's exit code for a stack that does not exist (a contract since 3.226)."""


class PulumiCli(Frozen):
    """Runs CLI commands in a directory that is gone afterwards."""

    cli: str
    environment: Mapping[str, str]

    async def export(self, ref: StackRef) -> Checkpoint:
        """`pulumi stack export`, secrets still encrypted."""
        code, out, err = await self._run(ref, "stack", "export", "--stack", ref.stack)
        if code == _NOT_FOUND or "no stack named" in err:
            return Checkpoint(exists=False)
        if code != 0:
            raise _error(err)
        return parse_export(out, ref)

    async def deployment(self, ref: StackRef, *, show_secrets: bool) -> dict[str, Any] | None:
        """The same as a document; secrets in plaintext come through a pipe, into memory only."""
        arguments = ["stack", "export", "--stack", ref.stack]
        if show_secrets:
            arguments.append("--show-secrets")
        code, out, err = await self._run(ref, *arguments)
        if code == _NOT_FOUND or "no stack named" in err:
            return None
        if code != 0:
            raise _error(err)
        try:
            document = json.loads(out)
            return {"version": document["version"], "deployment": document["deployment"] or {}}
        except (ValueError, KeyError, TypeError) as error:
            raise BackendError(f"The state of {ref.project}/{ref.stack} is damaged.") from error

    async def replace(self, ref: StackRef, document: Mapping[str, Any]) -> None:
        """`stack import` of a document, whose secrets are still encrypted."""
        arguments = ("stack", "import", "--stack", ref.stack)
        code, _, err = await self._run(ref, *arguments, told=json.dumps(document))
        if code != 0:
            raise _error(err)

    async def mend(self, ref: StackRef, found: Mapping[str, str]) -> None:
        """`stack export`, resolve the pending creates, `stack import`; secrets stay encrypted."""
        code, out, err = await self._run(ref, "stack", "export", "--stack", ref.stack)
        if code != 0:
            raise _error(err)
        try:
            text = json.dumps(mend(json.loads(out), found))
        except (ValueError, KeyError, TypeError) as error:
            raise BackendError(f"The state of {ref.project}/{ref.stack} is damaged.") from error
        code, _, err = await self._run(ref, "stack", "import", "--stack", ref.stack, told=text)
        if code != 0:
            raise _error(err)

    async def encrypt(self, ref: StackRef, salt: str) -> None:
        """Encrypt a word under this salt, which fails for another passphrase than its own."""
        settings = f"encryptionsalt: {salt}\n"
        arguments = ("config", "set", "--secret", "word", "--stack", ref.stack)
        code, _, err = await self._run(ref, *arguments, told="word", settings=settings)
        if code != 0:
            raise _error(err)

    async def outputs(self, ref: StackRef) -> Mapping[str, Any]:
        """`pulumi stack output` with secrets in plaintext: through a pipe, into memory only."""
        arguments = ("stack", "output", "--json", "--show-secrets", "--stack", ref.stack)
        code, out, err = await self._run(ref, *arguments)
        if code != 0:
            raise _error(err)
        try:
            outputs = json.loads(out)
        except ValueError as error:
            raise BackendError(f"The outputs of {ref.project}/{ref.stack} are no JSON.") from error
        return outputs if isinstance(outputs, dict) else {}

    async def whoami(self) -> None:
        """Make sure that a backend that is no directory answers at all."""
        code, _, err = await self._run(StackRef(project="alma", stack="alma"), "whoami")
        if code != 0:
            raise _error(err)

    async def _run(
        self, ref: StackRef, *arguments: str, told: str | None = None, settings: str = ""
    ) -> tuple[int, str, str]:
        with tempfile.TemporaryDirectory(prefix="alma-") as directory:
            bare = StackRef(project=ref.project, stack=ref.stack)
            write_project(Path(directory), bare, directory)
            if settings:
                settings_path(Path(directory), ref.stack).write_text(settings)
            process = await asyncio.create_subprocess_exec(
                self.cli,
                "--non-interactive",
                *arguments,
                cwd=directory,
                env=dict(self.environment),
                stdin=asyncio.subprocess.DEVNULL if told is None else asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
            try:
                out, err = await process.communicate(None if told is None else told.encode())
            except asyncio.CancelledError:
                process.kill()
                await process.wait()
                raise
        return process.returncode or 0, out.decode("utf-8", "replace"), err.decode(errors="replace")


def _error(text: str) -> AlmaError:
    failure = translate(text, (), interrupted=False, log="")
    refused = failure.kind == "passphrase" or re.search(AUTHENTICATION, text)
    kind = AuthenticationError if refused else BackendError
    return kind(failure.message, hint=failure.hint if failure.kind != "unknown" else "")
