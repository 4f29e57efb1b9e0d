"""Whether this machine lets a CLI work at all: found out before anything is started.

What is tried leaves nothing behind.
"""

from __future__ import annotations

import os
import pwd
import tempfile
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from alma.errors import BackendError
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


def _is_known(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True
