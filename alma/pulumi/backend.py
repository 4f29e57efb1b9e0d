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

from msgspec import Struct, structs

from alma.core.redaction import without_credentials
from alma.core.secret import MASK
from alma.errors import AuthenticationError, BackendError, UnwritableError
from alma.pulumi.login import current_login
from alma.system import files
from alma.system.environment import PULUMI, PYTHON, SAFE_PATH, without_flags
from alma.system.own import require_own
from alma.system.trace_context import traceparent

_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_VARIABLE: Final = "PULUMI_BACKEND_URL"
_DEFAULT: Final = Path(".alma", "state")
_CHOSEN: Final = ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE")


class Backend(Struct, frozen=True, kw_only=True):
    """A state backend. `root` is its directory when it is a file backend, else None.

    `is_forced`: the environment says so, for all stacks, whatever their projects say.
    `own_passphrase` is alma's passphrase file when the user chose no passphrase, else None.
    """

    url: str
    root: Path | None
    is_default: bool
    is_forced: bool
    own_passphrase: Path | None
    cwd: Path

    @classmethod
    def choose(
        cls, cwd: Path, environ: Mapping[str, str], *, asked: str = "", kept: str = ""
    ) -> Backend:
        """PULUMI_BACKEND_URL's; else `kept`, `asked`, the current login's, or `.alma/state`.

        `kept` is where a run that goes on has its state, `asked` what the saga says. A URL whose
        credentials are masked is none to go by. Raises `AuthenticationError` for a login that
        cannot be read, `RefusedError` where what is there may be somebody else's.
        """
        forced = environ.get(_VARIABLE, "")
        url = forced or ("" if MASK in kept else kept) or asked or current_login(environ)
        root = _directory(url, cwd, environ) if url else cwd / _DEFAULT
        chosen = "PULUMI_CONFIG_PASSPHRASE" in environ or environ.get(_CHOSEN[1])
        return cls(
            url=url if root is None else _url_of(root, url),
            root=root,
            is_default=root == cwd / _DEFAULT,
            is_forced=bool(forced),
            own_passphrase=None if chosen else _passphrase(root, cwd),
            cwd=cwd,
        )

    def __repr__(self) -> str:
        return f"Backend({self.shown!r})"

    def __post_init__(self) -> None:
        """Whoever knows a backend may read what is there."""
        self.require_own()

    def require_own(self) -> None:
        """Raise `RefusedError` unless what alma itself keeps here is this user's alone."""
        kept = [self.root] if self.root is not None and _is_ours(self.root) else []
        for path in filter(None, (*kept, self.own_passphrase)):
            require_own(path.parent, path.name)

    def of(self, url: str) -> Backend:
        """The one of a stack whose project says its own, absolute; empty: it says none."""
        if not url or url == self.url or self.is_forced:
            return self
        root = _directory(url, self.cwd, {})
        own = None if self.own_passphrase is None else _passphrase(root, self.cwd)
        return structs.replace(
            self,
            url=url,
            root=root,
            is_default=root == self.cwd / _DEFAULT,
            own_passphrase=own,
        )

    @property
    def has_own_state(self) -> bool:
        """Whether all in it was made under alma's own passphrase, beside it."""
        own, root = self.own_passphrase, self.root
        return own is not None and root is not None and own.parent == root.parent

    @property
    def is_cloud(self) -> bool:
        """Whether it is a Pulumi Cloud, which has no locks to be looked at."""
        return self.url.startswith(("https://", "http://"))

    @property
    def shown(self) -> str:
        """Its URL, as everybody may see it."""
        return without_credentials(self.url)

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
        own, root = self.own_passphrase, self.root
        lost = own is not None and not own.exists()
        if lost and root is not None and _is_ours(root) and _has_stacks(root):
            raise AuthenticationError(
                f"{root} holds stacks, but their passphrase {own} is gone.",
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
        self.require_own()  # Somebody may have been faster.

    def require_room(self) -> None:
        """Raise `UnwritableError` where nothing can be written; leaves nothing behind."""
        made = [self.root] if self.root is not None else []
        made += [self.own_passphrase.parent] if self.own_passphrase is not None else []
        try:
            for directory in filter(None, made):
                files.require_room(directory)
        except OSError as error:
            raise self._unmade(error) from error

    def _unmade(self, error: OSError) -> UnwritableError:
        if self.root is not None and not self.is_default and self.root.is_dir():
            return UnwritableError(
                f"The state directory {self.root} cannot be written to: {error.strerror}.",
                hint="Make some room, mend its permissions, or PULUMI_BACKEND_URL.",
            )
        return UnwritableError(
            f"The state under {self.cwd / files.HOME} cannot be made: {error.strerror}.",
            hint="Make the directory writable, or set PULUMI_BACKEND_URL.",
        )

    def environment(self, environ: Mapping[str, str], *, operation: str = "") -> dict[str, str]:
        """The whole environment of a CLI process that works on this backend."""
        env = without_flags(environ, PULUMI, PYTHON)
        env[_VARIABLE] = self.url
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
            env |= traceparent(operation, environ)
        return env

    def passphrase(self, environ: Mapping[str, str]) -> str:
        """The passphrase as this process can see it, or empty: to keep it out of logs."""
        if "PULUMI_CONFIG_PASSPHRASE" in environ:
            return environ["PULUMI_CONFIG_PASSPHRASE"]
        try:
            if self.own_passphrase is None:
                return (self.cwd / environ[_CHOSEN[1]]).read_text().strip()
            with files.open_own(self.own_passphrase) as file:
                return file.read().decode().strip()
        except (OSError, UnicodeDecodeError):
            return ""


def absolute(url: str, directory: Path, environ: Mapping[str, str]) -> str:
    """A backend's URL, of files as it is meant in that directory."""
    root = _directory(url, directory, environ)
    return url if root is None else _url_of(root, url)


def is_same(one: str, other: str) -> bool:
    """Whether two URLs, as anybody may see them, are of one backend: paths may be spelt anew."""
    if one == other:
        return True
    paths = [_directory(url, Path("/"), {}) for url in (one, other)]
    return None not in paths and len({path.resolve() for path in paths if path}) == 1


def moved(kept: str, journal: Path) -> str:
    """Where a default state is by now: with its project's directory, `.alma` is moved as a whole.

    `kept` as it is where it is still there, or nothing has come with the journal.
    """
    there, here = _directory(kept, Path("/"), {}), journal.absolute().parent / _DEFAULT.name
    if there is None or not _is_ours(there) or there.exists():
        return kept
    return here.as_uri() if here.is_dir() and _is_ours(here) else kept


def python_environment(search: list[str]) -> dict[str, str]:
    """What the dynamic provider needs: this interpreter, and the modules its caller sees.

    It is started in the directory of the program, which Python would put before its own modules.
    """
    return {
        SAFE_PATH: "1",
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


def _is_ours(root: Path) -> bool:
    """Whether it is the default of some directory."""
    return root.parts[-2:] == _DEFAULT.parts


def _passphrase(root: Path | None, cwd: Path) -> Path:
    """Of alma's own making: beside a default state, wherever that is."""
    return (root.parent if root is not None and _is_ours(root) else cwd / ".alma") / "passphrase"


def _url_of(root: Path, url: str) -> str:
    query = urlsplit(url).query
    return root.as_uri() + (f"?{query}" if query else "")


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
        raise UnwritableError(
            f"The state directory {root} cannot be read and written.",
            hint="Mend its permissions, or PULUMI_BACKEND_URL.",
        )


def _has_stacks(root: Path) -> bool:
    return any((root / ".pulumi" / "stacks").glob("*/*.json*"))
