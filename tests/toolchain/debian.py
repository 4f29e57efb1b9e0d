"""Programs of Debian's packages, unpacked into the cache: nothing is installed into the system."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Sequence
from pathlib import Path

from tests.toolchain import cache
from tests.toolchain.process import FailedError, UnavailableError, run, say

TIMEOUT = 10 * 60
# What a package expects under / is under the entry's `root`: programs, libraries and the
# extensions that iptables loads. What the system has already was not fetched, and is found there.
SCRIPT = """\
#!/bin/sh
root=$(dirname "$(readlink -f "$0")")/../root
PATH="$root/{folder}:$PATH"
export PATH="$root/usr/local/sbin:$root/usr/sbin:$root/usr/bin:$root/sbin:$root/bin:$PATH"
# The last is where libraries of sound keep what only they load.
for libraries in "$root"/lib/*-linux-gnu* "$root"/usr/lib/*-linux-gnu* \
    "$root"/usr/lib/*-linux-gnu*/pulseaudio; do
    [ -d "$libraries" ] || continue
    export LD_LIBRARY_PATH="$libraries${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}"
    [ -d "$libraries/xtables" ] && export XTABLES_LIBDIR="$libraries/xtables"
done
[ -e "$root/../fonts.conf" ] && export FONTCONFIG_FILE="$root/../fonts.conf"
exec "$root/{folder}/{program}" "$@"
"""
# The system's fonts, and those that were fetched, from wherever the cache is.
FONTS = """\
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig>
  <dir>/usr/share/fonts</dir>
  <dir prefix="relative">root/usr/share/fonts</dir>
  <cachedir prefix="xdg">fontconfig</cachedir>
</fontconfig>
"""


def directory(
    program: str,
    *packages: str,
    install: str,
    alone: bool = False,
    beside: Sequence[str] = (),
    folder: str = "bin",
) -> Path:
    """Return the directory of `program`, unpacked from `packages` and what these depend on.

    `install` says in a few words what a person can install instead. `alone`: the program is
    statically linked and starts none of the others. `beside`: more programs of the packages.
    `folder`: how the name of the directory ends in which the packages have them.
    """
    key = cache.key(f"debian-{program}", release())
    if (made := cache.existing(key)) is not None:
        return made / "bin"
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise UnavailableError(
            f"There is no {program} on PATH, nor apt-get to fetch it: {install}."
        )

    def make(target: Path, log: Path) -> None:
        say(f"fetching {program} from the distribution's packages; log: {log}")
        _unpack(packages, target, log)
        for name in (program, *beside):
            _link(name, target, folder, alone=alone)

    try:
        return cache.entry(key, make) / "bin"
    except FailedError:
        log = cache.log_of(key)
        raise UnavailableError(
            f"Fetching {program} by apt-get failed, its output is in {log}:"
            f" mend that, or {install}."
        ) from None


def release() -> str:
    """Name the release of the distribution, whose packages depend on its libraries."""
    try:
        known = platform.freedesktop_os_release()
    except OSError:
        return "unknown"
    return f"{known['ID']}-{known.get('VERSION_CODENAME', 'rolling')}"


def _unpack(packages: Sequence[str], target: Path, log: Path) -> None:
    # Lists and archives of its own, and no lock: this works beside another apt and without root.
    state = target / "apt"
    for part in ("lists", "archives"):
        (state / part / "partial").mkdir(parents=True)
    own = {
        "Dir::State::lists": state / "lists",
        "Dir::Cache": state,
        "Dir::Cache::archives": state / "archives",
        "Debug::NoLocking": 1,
        # Not the user `_apt`, who may not look into a home directory.
        "APT::Sandbox::User": "root",
    }
    options = [f"-o{name}={value}" for name, value in own.items()]
    run(["apt-get", *options, "update"], log=log, timeout=TIMEOUT, cwd=target)
    fetch = ["apt-get", *options, "install", "--download-only", "--no-install-recommends", "--yes"]
    run([*fetch, *packages], log=log, timeout=TIMEOUT, cwd=target)
    for archive in sorted((state / "archives").glob("*.deb")):
        unpack = ["dpkg-deb", "--extract", str(archive), str(target / "root")]
        run(unpack, log=log, timeout=TIMEOUT, cwd=target)
    shutil.rmtree(state)


def _link(program: str, target: Path, inside: str, *, alone: bool) -> None:
    # A link that the package's installation would make.
    filters = target / "root" / "usr" / "sbin"
    if (filters / "iptables-legacy").exists() and not (filters / "iptables").exists():
        (filters / "iptables").symlink_to("iptables-legacy")
    # Not any file of that name: a package may have an init script that is called as its program.
    found = [p for p in (target / "root").rglob(f"*{inside}/{program}") if os.access(p, os.X_OK)]
    if not found:
        raise FailedError
    if any((target / "root" / part).is_dir() for part in ("etc/fonts", "usr/share/fonts")):
        (target / "fonts.conf").write_text(FONTS)
    entry = target / "bin" / program
    entry.parent.mkdir(exist_ok=True)
    if alone:
        entry.symlink_to(Path("..", found[0].relative_to(target)))
    else:
        folder = found[0].parent.relative_to(target / "root")
        entry.write_text(SCRIPT.format(program=program, folder=folder))
        entry.chmod(0o755)
