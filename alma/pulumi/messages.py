"""What a runner and its worker say to each other: pickled frames, each after its length.

A frame is a tuple: its kind and its fields. To the worker: `("task", Task)`, `("interrupt",)`.
From it: `("ready", Process)`, `("process", Process)`, `("resource", urn, op, done)`,
`("done", Report)`. Both ends are alma, one started the other: pickle is safe here.
"""

from __future__ import annotations

import pickle
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from alma.core.events import Failure, ResourceChange
from alma.core.struct import Frozen

if TYPE_CHECKING:
    from alma.pulumi.restore.plan import RestorePlan

LENGTH: Final = struct.Struct(">Q")
"""Of a frame, in front of it."""

TaskKind = Literal["up", "preview", "destroy", "remove", "restore", "foresee", "look"]


@dataclass(frozen=True, kw_only=True, repr=False)
class Task:
    """One operation, with all that a worker needs. Holds secrets: it has no repr.

    `directory` is alma's own directory for the project, `project_dir` the user's or empty.
    `plain` is config by full key (`project:key`), JSON values; `defaults` the same, under what the
    user's project says; `injected` are secret texts that
    an inline program gets in its own process; `sealed` secret texts that the CLI must encrypt.
    """

    kind: TaskKind
    operation: str
    project: str
    stack: str
    cli: str
    cli_version: str
    directory: str
    project_dir: str
    log_dir: str
    cwd: str
    search: tuple[str, ...]
    environment: Mapping[str, str]
    create: bool = False
    program: bytes | None = None
    plain: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    injected: Mapping[str, str] = field(default_factory=dict)
    sealed: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[Any, ...] = ()
    """Values to keep out of logs and messages, as `Secret`s."""
    replay: RestorePlan | None = None
    """What a restore registers again."""
    targets: tuple[str, ...] = ()
    """URNs of the resources that a `look` is for."""


class Report(Frozen):
    """How a task ended, as the worker saw it.

    `said`: by URN, the error of a resource; `lasting` as in `OperationResult`. `spent` asks for a
    new worker, `unsettled` for a look at what the CLI left when it was killed.
    """

    failure: Failure | None
    changes: Mapping[str, int]
    resources: tuple[ResourceChange, ...]
    said: Mapping[str, str] = field(default_factory=dict)
    lasting: Mapping[str, str] = field(default_factory=dict)
    spent: bool = False
    unsettled: bool = False


def encode(frame: tuple[Any, ...]) -> bytes:
    """The frame as bytes, its length first."""
    body = pickle.dumps(frame, protocol=pickle.HIGHEST_PROTOCOL)
    return LENGTH.pack(len(body)) + body


def decode(body: bytes) -> tuple[Any, ...]:
    """A frame from what comes after its length."""
    frame: tuple[Any, ...] = pickle.loads(body)  # noqa: S301 - see above
    return frame


def receive(connection: socket.socket) -> tuple[Any, ...]:
    """The next frame, blocking; `EOFError` when the other end is gone."""
    (length,) = LENGTH.unpack(_exactly(connection, LENGTH.size))
    return decode(_exactly(connection, length))


def _exactly(connection: socket.socket, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        try:
            part = connection.recv(min(count - len(parts), 1 << 20))
        except ConnectionError as error:
            raise EOFError from error
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)
