"""A process that belongs to a resource: it has a directory with its record, log and settings.

The record holds pid and start time from the moment the process is started. It finds what a create
left behind whose outcome never reached Pulumi's state (the provider was killed in between).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stacks.local import files
from stacks.local.process import Identity, ProcessError, Started, alive, start, stop

RECORD, LOG, SETTINGS = "process.json", "log", "settings.json"


def launch(
    module: str,
    *,
    directory: Path,
    owner: str,
    args: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
) -> Started:
    """Start `module` for `owner` with its files in `directory`.

    Raises ProcessError when the process does not get ready (nothing is left then), and as
    `prepare` does.
    """
    prepare(directory, owner)

    def note(identity: Identity) -> None:
        content = {"pid": identity.pid, "start": identity.start, "owner": owner}
        files.write_private(directory / RECORD, content)

    try:
        return start(
            module,
            label=directory.name,
            log=directory / LOG,
            args=args,
            settings=settings,
            started=note,
        )
    except BaseException:
        clear(directory)
        raise


def prepare(directory: Path, owner: str) -> None:
    """Make the directory ready for `owner`: what an earlier start of it left there is stopped.

    Raises ProcessError when a live process of another owner has the directory.
    """
    record = files.read_json(directory / RECORD)
    if record:
        if record["owner"] != owner and alive(_identity(record)):
            raise ProcessError(f"{owner}: {directory} is in use by {record['owner']}")
        stop(_identity(record))
        (directory / RECORD).unlink(missing_ok=True)
    files.make_directory(directory.parent)
    files.make_directory(directory)


def retire(directory: Path, owner: str, identity: Identity | None) -> None:
    """Stop the process and remove its files; gone already is a success.

    Stops `identity` and the recorded process, should the two differ. Returns when both have ended
    and the directory is gone; raises ProcessError otherwise.
    """
    if identity is not None:
        stop(identity)
    record = files.read_json(directory / RECORD)
    if record:
        if record["owner"] != owner:
            return  # the directory is another resource's by now
        stop(_identity(record))
    clear(directory)
    if (directory / RECORD).exists():
        raise ProcessError(f"{owner}: the files in {directory} could not be removed")


def clear(directory: Path) -> None:
    """Remove the files of a process that has ended, and directories left empty by that."""
    for name in (RECORD, LOG, SETTINGS):
        (directory / name).unlink(missing_ok=True)
    files.release_directory(directory)
    files.release_directory(directory.parent)


def _identity(record: Mapping[str, Any]) -> Identity:
    return Identity(int(record["pid"]), float(record["start"]))
