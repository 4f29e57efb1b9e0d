"""The cache: one directory for each program and version, made once, complete or absent."""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.toolchain.process import say


def root() -> Path:
    """Return the cache's directory: outside the checkout, where XDG says."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG specification has a relative path ignored.
    return (base if base.is_absolute() else Path.home() / ".cache") / "alma" / "toolchain"


def key(name: str, version: str, *sources: Path) -> str:
    """Name an entry by its version, by this kind of machine and by the content of `sources`."""
    digest = hashlib.sha256(f"{platform.system()} {platform.machine()}".encode())
    for source in sources:
        digest.update(hashlib.sha256(source.read_bytes()).digest())
    return f"{name}-{version}-{digest.hexdigest()[:12]}"


def log_of(entry_key: str) -> Path:
    """Return the log of the entry's last making."""
    return root() / f"{entry_key}.log"


def existing(entry_key: str) -> Path | None:
    """Return the entry's directory if it was made before."""
    directory = root() / entry_key
    return directory if directory.is_dir() else None


def entry(entry_key: str, make: Callable[[Path, Path], None]) -> Path:
    """Return the entry's directory; `make(directory, log)` fills it when there is none yet.

    It is filled under another name and renamed when whole, so that a killed run leaves nothing
    that looks finished. Of two runs at once the second waits and takes what the first made.
    """
    if (made := existing(entry_key)) is not None:
        return made
    root().mkdir(parents=True, exist_ok=True)
    with _locked(root() / f"{entry_key}.lock"):
        if (made := existing(entry_key)) is not None:
            return made
        partial = root() / f"{entry_key}.part"
        # Left by a run that was killed: nobody else writes there, the lock is ours.
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        log = log_of(entry_key)
        log.write_bytes(b"")
        try:
            make(partial, log)
            return partial.rename(root() / entry_key)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on `path`; the kernel frees it if this process dies."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another run is making {path.stem}; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
