"""Making programs from Go modules, by a go.mod and go.sum of the checkout's own."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.toolchain import cache
from tests.toolchain.process import FailedError, UnavailableError, run, say

# The Pulumi CLI takes about four minutes on two idle cores, and its modules have to come first. On
# a machine that does ten other things it is several times that.
TIMEOUT = 60 * 60


class Pin(NamedTuple):
    """A program's name, and the module that is its version."""

    name: str
    directory: Path
    """Holds the go.mod and the go.sum, and a `main` where the module has none."""
    module: str
    """The path of a module that go.mod requires."""
    also: tuple[Path, ...] = ()
    """More such directories, of programs that are made into the same entry."""

    @property
    def version(self) -> str:
        """The version required, without its `v`."""
        text = (self.directory / "go.mod").read_text("utf-8")
        match = re.search(rf"^(?:require)?\s+{re.escape(self.module)} v(\S+)", text, re.MULTILINE)
        if match is None:
            raise LookupError(f"{self.directory / 'go.mod'} does not require {self.module}")
        return match[1]

    @property
    def key(self) -> str:
        """The cache's entry: another one as soon as one of these files changes."""
        pins = (self.directory, *self.also)
        files = [pin / name for pin in pins for name in ("go.mod", "go.sum")]
        files += [file for pin in pins for file in sorted(pin.rglob("*.go"))]
        return cache.key(self.name, self.version, *files)


def directory(pin: Pin, fill: Callable[[str, Path, Path], None], *, install: str) -> Path:
    """Return the directory of a program; `fill(go, target, log)` makes it when it is not there.

    `install` says in a few words what a person can install instead.
    """
    if (made := cache.existing(pin.key)) is not None:
        return made
    go = shutil.which("go")
    if go is None:
        raise UnavailableError(
            f"No {pin.name} that fits can be found, downloaded or built here: {install}."
        )
    try:
        return cache.entry(pin.key, lambda part, log: fill(go, part / pin.name, log))
    except FailedError:
        log = cache.log_of(pin.key)
        raise UnavailableError(
            f"Making {pin.name} failed, its output is in {log}: mend that, or {install}."
        ) from None


def build(
    pin: Pin, package: str, variable: str, *, value: str = "", go: str, target: Path, log: Path
) -> None:
    """Build `package` into the file `target`; the linker's `variable` gets `value` or the version.

    The version is written with its `v`.
    """
    say(f"building {pin.name} {pin.version} from Go modules, which takes minutes; log: {log}")
    flags = f"-s -w -X {variable}={value or f'v{pin.version}'}"
    command = [go, "build", "-mod=readonly", "-ldflags", flags, "-o", str(target), package]
    run(command, log=log, timeout=TIMEOUT, cwd=pin.directory)


def source(pin: Pin, *, go: str, log: Path) -> Path:
    """Return the directory of the source of the pinned module, downloaded if it has to be."""
    command = [go, "mod", "download", "-json", pin.module]
    return Path(json.loads(run(command, log=log, timeout=TIMEOUT, cwd=pin.directory))["Dir"])
