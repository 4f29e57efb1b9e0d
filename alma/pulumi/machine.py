"""Whether this machine lets a CLI work at all: found out before anything is started.

What is tried leaves nothing behind.
"""

from __future__ import annotations

import os
import pwd
import tempfile
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from alma.errors import BackendError, UnwritableError
from alma.pulumi.backend import Backend
from alma.pulumi.engine import StackRef
from alma.pulumi.project import directory_of, unwritable
from alma.system import files

if TYPE_CHECKING:
    from alma.pulumi.cli import PulumiCli


async def require_machine(
    reader: PulumiCli, backend: Backend, refs: Sequence[StackRef], environ: Mapping[str, str]
) -> None:
    """Raise `BackendError` for a directory that cannot be written to, or a user without a name."""
    try:
        tempfile.gettempdir()
    except OSError as error:
        raise BackendError(
            "There is no directory for temporary files that can be written to.",
            hint="Make some room, or set TMPDIR.",
        ) from error
    for directory in {directory_of(ref, backend.url, environ).parent for ref in refs}:
        try:
            files.require_room(directory)
        except OSError as error:
            raise unwritable(directory, error) from error
    backend.require_room()
    if backend.root is not None and not _is_known(os.getuid()):
        # Its lock names the user. Some builds take the name from the environment, others do not.
        try:
            await reader.whoami()
        except BackendError as error:
            raise BackendError(
                f"Pulumi cannot work for a user without a name: {error.message.rstrip('.')}.",
                hint=f"Give uid {os.getuid()} an entry in /etc/passwd.",
            ) from error


async def require_backend(reader: PulumiCli, backend: Backend, written: Sequence[StackRef]) -> None:
    """Raise `BackendError` for a backend, no directory, that does not answer or takes no writes.

    `written` are stacks that are to be brought up or taken down there: none where only looked at.
    What a Pulumi Cloud lets its user do, it says itself.
    """
    if backend.is_cloud or not written:
        await reader.whoami()
        return
    try:
        await reader.prove_writable(written[0])
    except BackendError as error:
        await reader.whoami()  # Raises where it cannot even be read, and says why.
        why = error.message.splitlines()[0].rstrip(".:")
        raise UnwritableError(
            f"The state backend {backend.shown} can be read, but not be written to: {why}.",
            hint="Mend the rights there, or make room. What is needed is in docs/backends.md.",
        ) from error


def _is_known(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True
