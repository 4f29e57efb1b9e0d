"""Where stacks keep their state, and the passphrase that their secrets are encrypted with.

Constructing writes nothing. `prepare` makes the default state directory and passphrase, and is
called right before the first operation that changes something.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from alma.errors import AuthenticationError, BackendError
from alma.system import files
from alma.system.environment import PULUMI, PYTHON, without_flags

_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_CHOSEN: Final = ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE")


class Backend(Struct, frozen=True, kw_only=True):
    """A state backend. `root` is its directory when it is a file backend, else None.

    `own_passphrase` is alma's passphrase file when the user chose no passphrase, else None.
    """

    url: str
    root: Path | None
    is_default: bool
    own_passphrase: Path | None
    cwd: Path

    @classmethod
    def choose(cls, cwd: Path, environ: Mapping[str, str]) -> Backend:
        """What the environment asks for, or `.alma/state` and `.alma/passphrase` under `cwd`."""
        asked = environ.get("PULUMI_BACKEND_URL", "")
        root = _directory(asked, cwd, environ) if asked else cwd / ".alma" / "state"
        chosen = "PULUMI_CONFIG_PASSPHRASE" in environ or environ.get(_CHOSEN[1])
        query = urlsplit(asked).query
        url = asked if root is None else root.as_uri() + (f"?{query}" if query else "")
        return cls(
            url=url,
            root=root,
            is_default=not asked,
            own_passphrase=None if chosen else cwd / ".alma" / "passphrase",
            cwd=cwd,
        )

    def check(self, environ: Mapping[str, str]) -> None:
        """Find out without a process and without writing what can be found out so.

        Raises `BackendError` for a state directory that cannot be used, `AuthenticationError`
        for a passphrase file that is not there.
        """
        if self.root is not None:
            _require_directory(self.root, may_be_made=self.is_default)
        named = environ.get(_CHOSEN[1])
        by_file = named if "PULUMI_CONFIG_PASSPHRASE" not in environ else None
        if by_file and not os.access(self.cwd / by_file, os.R_OK):
            raise AuthenticationError(
                f"The passphrase file {by_file} cannot be read.",
                hint="Mend PULUMI_CONFIG_PASSPHRASE_FILE.",
            )
        lost = self.own_passphrase is not None and not self.own_passphrase.exists()
        if lost and self.is_default and self.root is not None and _has_stacks(self.root):
            raise AuthenticationError(
                f"{self.root} holds stacks, but their passphrase {self.own_passphrase} is gone.",
                hint="Put the file back, or set PULUMI_CONFIG_PASSPHRASE.",
            )

    def prepare(self) -> None:
        """Make the default state directory and passphrase, where they are used and missing."""
        try:
            if self.is_default and self.root is not None:
                files.make_directory(self.root)
            if self.own_passphrase is not None and not self.own_passphrase.exists():
                files.make_directory(self.own_passphrase.parent)
                # Of two makers the first one counts: both then read the same passphrase.
                files.create(self.own_passphrase, secrets.token_urlsafe(32) + "\n")
        except OSError as error:
            raise self._unmade(error) from error

    def require_room(self) -> None:
        """Raise `BackendError` where `prepare` could make nothing."""
        made = [self.root] if self.is_default else []
        made += [self.own_passphrase.parent] if self.own_passphrase is not None else []
        try:
            for directory in filter(None, made):
                files.require_room(directory)
        except OSError as error:
            raise self._unmade(error) from error

    def _unmade(self, error: OSError) -> BackendError:
        return BackendError(
            f"The state under {self.cwd / '.alma'} cannot be made: {error.strerror}.",
            hint="Make the directory writable, or set PULUMI_BACKEND_URL.",
        )

    def environment(self, environ: Mapping[str, str], *, operation: str = "") -> dict[str, str]:
        """The whole environment of a CLI process that works on this backend."""
        env = without_flags(environ, PULUMI, PYTHON)
        env["PULUMI_BACKEND_URL"] = self.url
        env["PULUMI_SKIP_UPDATE_CHECK"] = "1"
        env["PULUMI_DIY_BACKEND_NO_LEGACY_WARNING"] = "1"
        # A stack's settings file may be lost; the state knows how its secrets are encrypted.
        env["PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER"] = "1"
        if self.own_passphrase is not None:
            env[_CHOSEN[1]] = str(self.own_passphrase)
        elif "PULUMI_CONFIG_PASSPHRASE" not in env:
            env[_CHOSEN[1]] = str(self.cwd / env[_CHOSEN[1]])
        env |= _past_proxies(env)
        if operation:
            from alma.system.processes import MARKER

            env[MARKER] = operation
        return env

    def passphrase(self, environ: Mapping[str, str]) -> str:
        """The passphrase as this process can see it, or empty: to keep it out of logs."""
        if "PULUMI_CONFIG_PASSPHRASE" in environ:
            return environ["PULUMI_CONFIG_PASSPHRASE"]
        path = self.own_passphrase or self.cwd / environ[_CHOSEN[1]]
        try:
            return path.read_text().strip()
        except (OSError, UnicodeDecodeError):
            return ""


def python_environment(search: list[str]) -> dict[str, str]:
    """What the dynamic provider needs: this interpreter, and the modules its caller sees."""
    return {
        "PULUMI_PYTHON_CMD": sys.executable,
        "PYTHONPATH": os.pathsep.join(entry or str(Path.cwd()) for entry in search),
    }


def _past_proxies(environ: Mapping[str, str]) -> dict[str, str]:
    """What keeps engine, program and plugins, which talk to each other here, out of any proxy.

    gRPC asks `no_grpc_proxy` before `no_proxy`; others only one of the two common spellings.
    """
    names = ["no_proxy", "NO_PROXY", *({"no_grpc_proxy"} & environ.keys())]
    common = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    exempt = {}
    for name in names:
        hosts = [host for host in (environ.get(name) or common).split(",") if host.strip()]
        if "*" not in hosts:
            exempt[name] = ",".join([*hosts, *(host for host in _LOOPBACK if host not in hosts)])
    return exempt


def _directory(url: str, cwd: Path, environ: Mapping[str, str]) -> Path | None:
    """The directory of a `file://` URL, made absolute: our CLIs run elsewhere."""
    if not url.startswith("file://"):
        return None
    path = unquote(url.removeprefix("file://").split("?", 1)[0])
    if path == "~" or path.startswith("~/"):
        path = environ.get("HOME", "~") + path[1:]
    return Path(os.path.abspath(cwd / (path or ".")))


def _require_directory(root: Path, *, may_be_made: bool) -> None:
    if may_be_made:
        while not root.exists() and root != root.parent:
            root = root.parent
    if not root.is_dir():
        raise BackendError(
            f"The state directory {root} does not exist.",
            hint="Make it, or mend PULUMI_BACKEND_URL.",
        )
    if not os.access(root, os.R_OK | os.W_OK | os.X_OK):
        raise BackendError(
            f"The state directory {root} cannot be read and written.",
            hint="Mend its permissions, or PULUMI_BACKEND_URL.",
        )


def _has_stacks(root: Path) -> bool:
    return any((root / ".pulumi" / "stacks").glob("*/*.json*"))
