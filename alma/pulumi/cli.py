"""The Pulumi CLI: found, its version known, and asked directly what only it can tell.

`pulumi version` takes 0.1 s; its answer is kept under `$XDG_CACHE_HOME/alma/`, keyed by what
changes whenever the executable does: one process per installed CLI, not per run. What is asked
needs no worker and no language, and leaves nothing on disk.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from alma.core.operation import Operation
from alma.core.redaction import without_credentials
from alma.errors import AlmaError, AuthenticationError, BackendError, ToolError
from alma.pulumi.engine import StackRef
from alma.pulumi.failures import AUTHENTICATION, lock_went, translate
from alma.pulumi.meeting import TRIES, delay
from alma.pulumi.project import settings_path, write_project
from alma.system import files
from alma.system.environment import PULUMI, without_flags
from alma.system.scratch import scratch

MINIMUM: Final = (3, 259, 0)
"""The oldest that is tested, and that of the SDK. Those before 3.250 could not do at all: they want
a whole project for a destroy, and know no `--event-log` over gRPC."""

_INSTALL: Final = "Install Pulumi from https://www.pulumi.com/docs/install/ and put it on PATH."
_TIMEOUT: Final = 60.0
"""Seconds for `pulumi version`: it does no network, but a cold disk can be slow."""


class Cli(Struct, frozen=True, kw_only=True):
    """A Pulumi CLI that is new enough: absolute path and version, such as `3.259.0`."""

    path: str
    version: str


def find_cli(environ: Mapping[str, str] | None = None) -> Cli:
    """The CLI that PATH gives. Raises `ToolError` when it is missing, too old or does not run."""
    env = dict(os.environ if environ is None else environ)
    found = shutil.which("pulumi", path=env.get("PATH"))
    if found is None:
        raise ToolError("The Pulumi CLI was not found on PATH.", hint=_INSTALL)
    path = os.path.abspath(found)
    cache = _cache_file(path, env)
    version = _recall(cache)
    if version is None:
        version = _ask(path, env)
        _remember(cache, version)
    _require_supported(path, version)
    return Cli(path=path, version=version)


def parse(version: str) -> tuple[int, int, int]:
    """`v3.259.0-dev.1` as (3, 259, 0); `ValueError` when it is no version."""
    match = re.match(r"v?(\d+)\.(\d+)\.(\d+)", version.strip())
    if match is None:
        raise ValueError(f"not a version: {version!r}")
    major, minor, patch = (int(part) for part in match.groups())
    return major, minor, patch


def _require_supported(path: str, version: str) -> None:
    if "+journaling" in version:
        raise ToolError(
            f"{path} is Pulumi {version}, a build that keeps a journal beside the state: after a "
            "crash the state alone would be from before the update.",
            hint=_INSTALL,
        )
    wanted = ".".join(str(part) for part in MINIMUM)
    try:
        numbers = parse(version)
    except ValueError as error:
        raise ToolError(
            f"{path} does not tell its version (it says {version[:80]!r}).", hint=_INSTALL
        ) from error
    if numbers[0] != MINIMUM[0] or numbers < MINIMUM:
        raise ToolError(
            f"{path} is Pulumi {version}; alma needs {wanted} or later of major version "
            f"{MINIMUM[0]}.",
            hint=_INSTALL,
        )


def _ask(path: str, env: Mapping[str, str]) -> str:
    try:
        answer = subprocess.run(
            [path, "version"],
            env={**without_flags(env, PULUMI), "PULUMI_SKIP_UPDATE_CHECK": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolError(f"{path} does not run: {error}.", hint=_INSTALL) from error
    if answer.returncode != 0:
        said = (answer.stderr or answer.stdout).strip()[-200:]
        raise ToolError(f"{path} does not run: {said or answer.returncode}.", hint=_INSTALL)
    return answer.stdout.strip().removeprefix("v")


def _cache_file(path: str, env: Mapping[str, str]) -> Path | None:
    """Where this very executable's version is kept; None when there is no place for it."""
    try:
        real = os.path.realpath(path)
        stat = Path(real).stat()
    except OSError:
        return None
    home = env.get("XDG_CACHE_HOME") or (
        str(Path(env["HOME"]) / ".cache") if env.get("HOME") else ""
    )
    if not home:
        return None
    key = hashlib.sha256(f"{real}\0{stat.st_size}\0{stat.st_mtime_ns}".encode()).hexdigest()
    return Path(home) / "alma" / f"pulumi-version-{key[:16]}.json"


def _recall(cache: Path | None) -> str | None:
    if cache is None:
        return None
    try:
        version = json.loads(cache.read_text())["version"]
        parse(version)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return str(version)


def _remember(cache: Path | None, version: str) -> None:
    """Keep a good answer; a cache that cannot be written costs a process a run, nothing else."""
    if cache is None:
        return
    try:
        parse(version)
        files.make_directory(cache.parent)
        files.replace(cache, json.dumps({"version": version}), durable=False)
    except (OSError, ValueError):
        return


_TAIL: Final = 256 * 1024
"""Characters of what it has said that are looked at: its last words say what failed."""
WRITE_CHECK: Final = "alma-write-check"
"""The project of the stack that is made, and removed, where nothing else can be tried."""
_NOT_FOUND = 6
"""The CLI's exit code for a stack that does not exist (a contract since 3.226)."""


class PulumiCli(Struct, frozen=True, kw_only=True):
    """Runs CLI commands in a directory that is gone afterwards.

    Each may take `patience`, in seconds: a large state, from afar, takes its time.
    """

    cli: str
    environment: Mapping[str, str]
    patience: float | None = None

    def __repr__(self) -> str:
        return f"PulumiCli({self.cli!r})"  # the environment has passphrases in it

    async def deployment(self, ref: StackRef, *, show_secrets: bool) -> dict[str, Any] | None:
        """`pulumi stack export`; secrets in plaintext come through a pipe, into memory only."""
        arguments = ["stack", "export", "--stack", ref.qualified]
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

    async def replace(
        self, ref: StackRef, document: Mapping[str, Any], operation: Operation
    ) -> None:
        """`stack import` of a document, whose secrets are still encrypted."""
        arguments = ("stack", "import", "--stack", ref.qualified)
        told = json.dumps(document)
        code, _, err = await self._run(ref, *arguments, told=told, operation=operation)
        if code != 0:
            raise _error(err)

    async def fit(self, ref: StackRef, salt: str) -> None:
        """Make a stack under this salt, which fails for another passphrase than its own."""
        settings = f"encryptionsalt: {salt}\n"
        arguments = ("stack", "init", "--no-select", "--stack", ref.stack)
        code, _, err = await self._run(ref, *arguments, settings=settings, aside=True)
        if code != 0:
            raise _error(err)

    async def outputs(self, ref: StackRef) -> Mapping[str, Any]:
        """`pulumi stack output` with secrets in plaintext: through a pipe, into memory only."""
        arguments = ("stack", "output", "--json", "--show-secrets", "--stack", ref.qualified)
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

    async def refusal(self, ref: StackRef) -> str:
        """What the CLI says where others hold the stack's lock; empty where nobody does.

        A stack cannot be given the name that it has, which the backend finds out under the lock:
        so it is asked for that, and changes nothing.
        """
        code, _, err = await self._run(ref, "stack", "rename", ref.stack, "--stack", ref.qualified)
        if "the stack is currently locked by" in err:
            return err
        if code in (0, _NOT_FOUND) or "no stack named" in err or "already exists" in err:
            return ""
        raise _error(err)

    async def prove_writable(self, ref: StackRef) -> None:
        """Have a lock written and removed again, as every operation does first.

        It is that of the stack, which is given the name that it has. Where it is not there yet,
        a stack of alma's own is made, which holds nothing, and removed. Raises `BackendError`.
        """
        rename = ("stack", "rename", ref.stack, "--stack", ref.qualified)
        code, _, err = await self._run(ref, *rename)
        if code != _NOT_FOUND and "no stack named" not in err:
            _require_written(err)
            return
        check = StackRef(project=WRITE_CHECK, stack="check", options=ref.options)
        named = ("--stack", check.stack)
        thrown_away = {"PULUMI_CONFIG_PASSPHRASE": "preview"}
        init = ("stack", "init", "--no-select", *named)
        _, _, err = await self._run(check, *init, environment=thrown_away)
        _require_written(err)
        remove = ("stack", "rm", "--yes", "--remove-backups", *named)
        _, _, err = await self._run(check, *remove, environment=thrown_away)
        if "no stack named" not in err:  # somebody who tried the same was faster
            _require_written(err)

    async def cancel(self, ref: StackRef, operation: Operation | None) -> None:
        """Remove all locks on the stack, whoever holds them: `pulumi cancel` stops nobody."""
        arguments = ("cancel", "--yes", "--stack", ref.qualified)
        code, _, err = await self._run(ref, *arguments, operation=operation)
        if code != 0:
            raise _error(err)

    async def _run(
        self,
        ref: StackRef,
        *arguments: str,
        told: str | None = None,
        settings: str = "",
        aside: bool = False,
        environment: Mapping[str, str] | None = None,
        operation: Operation | None = None,
    ) -> tuple[int, str, str]:
        """The exit code and what it said; `aside` is on a backend that is gone afterwards, too."""
        import asyncio

        from alma.system.programs import read  # psutil: whoever only looks for the CLI needs none

        with scratch("cli") as directory:
            bare = StackRef(project=ref.project, stack=ref.stack)
            write_project(directory, bare, str(directory))
            if settings:
                path = settings_path(directory, ref.stack)
                files.replace(path, settings, durable=False)
            backend = {"PULUMI_BACKEND_URL": directory.as_uri()} if aside else {}
            asked = (
                [self.cli, "--non-interactive", *arguments],
                directory,
                {**self.environment, **ref.options.env, **backend, **(environment or {})},
                None if told is None else told.encode(),
                operation,
            )
            try:
                for tried in range(1, TRIES):
                    answer = await asyncio.wait_for(read(*asked), self.patience)
                    if answer[0] == 0 or not lock_went(answer[2]):
                        return answer
                    await asyncio.sleep(delay(tried))
                return await asyncio.wait_for(read(*asked), self.patience)
            except TimeoutError as error:
                words = " ".join(word for word in arguments if not word.startswith("-"))
                raise BackendError(
                    f"`pulumi {words}` has not ended within {self.patience:g} s.",
                    hint="See that it answers, and that its backend does.",
                ) from error


def _require_written(said: str) -> None:
    """Raise `BackendError` unless what is said is that a name, or a lock, is there already."""
    if "the stack is currently locked by" in said:
        return  # Whoever holds it has written it.
    if ("error:" in said and "already exists" not in said) or "deleting the lock" in said:
        raise _error(said)


def _error(text: str) -> AlmaError:
    if len(text) > _TAIL:
        text = text[-_TAIL:].partition("\n")[2]
    text = without_credentials(text)
    failure = translate(text, (), interrupted=False, log="")
    refused = failure.kind == "passphrase" or re.search(AUTHENTICATION, text)
    kind = AuthenticationError if refused else BackendError
    return kind(failure.message, hint=failure.hint if failure.kind != "unknown" else "")
