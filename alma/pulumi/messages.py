"""What a runner and its worker say to each other: tagged messages, each after its length.

To the worker: `Task`, `Interrupt`, `Known`. From it: `Ready`, `Started`, `Progress`, `Report`.
They cross as JSON of ASCII: a config value may be an integer of any size, and an environment may
hold bytes that are no text, both of which msgpack refuses. Only the program is pickled.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Mapping
from typing import Any, Final, Literal

from msgspec import Struct, convert, field, to_builtins

from alma.core.drift import ResourceDrift
from alma.core.events import Failure, Process, ResourceChange
from alma.core.secret import Secret
from alma.pulumi.engine import WorkspaceOptions
from alma.pulumi.restore.plan import RestorePlan

LENGTH: Final = struct.Struct(">Q")
"""Of a message, in front of it."""

TaskKind = Literal["up", "preview", "destroy", "remove", "restore", "foresee", "look", "drift"]


class Task(Struct, frozen=True, kw_only=True, tag="task"):
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
    organization: str = ""
    options: WorkspaceOptions = field(default_factory=WorkspaceOptions)
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
    run_program: bool = False
    """Whether the program is run, whoever serves it: for a destroy it is where it has hooks."""
    secrets: tuple[Secret, ...] = ()
    """Values to keep out of logs and messages."""
    replay: RestorePlan | None = None
    """What a restore registers again."""
    targets: tuple[str, ...] = ()
    """URNs of the resources that a `look` is for."""
    refresh: bool = False
    """Whether an up or a preview looks at what is there by now."""
    exclude: tuple[str, ...] = ()
    """URNs of what a destroy leaves in the state."""

    def __repr__(self) -> str:
        return f"Task(kind={self.kind!r}, operation={self.operation!r})"


class Interrupt(Struct, frozen=True, tag="interrupt"):
    """To the task that runs, or the next one: one SIGINT to its CLI."""


class Ready(Struct, frozen=True, tag="ready"):
    """The worker has begun to listen."""

    process: Process


class Started(Struct, frozen=True, tag="started"):
    """A CLI process was started for the task; it begins when this is `Known`."""

    process: Process


class Known(Struct, frozen=True, tag="known"):
    """The CLI process that was started is in the journal."""


class Progress(Struct, frozen=True, tag="progress"):
    """A resource's operation began, or ended."""

    urn: str
    op: str
    done: bool


class Report(Struct, frozen=True, kw_only=True, tag="report"):
    """How a task ended, as the worker saw it.

    `said`: by URN, the error of a resource; `lasting`, `nulls` and `warnings` as in
    `OperationResult`. `spent` asks for a new worker, `unsettled` for a look at what the CLI left
    when it was killed. `began`, `drifted` and `asked` as in `OperationResult`.
    """

    failure: Failure | None
    changes: Mapping[str, int]
    resources: tuple[ResourceChange, ...]
    said: Mapping[str, str] = field(default_factory=dict)
    lasting: Mapping[str, str] = field(default_factory=dict)
    nulls: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    spent: bool = False
    unsettled: bool = False
    began: bool = True
    drifted: tuple[ResourceDrift, ...] = ()
    asked: tuple[str, ...] = ()


Message = Task | Interrupt | Ready | Started | Known | Progress | Report


def encode(message: Message) -> bytes:
    """The message as bytes, its length first."""
    body = json.dumps(to_builtins(message, enc_hook=_plain, str_keys=True)).encode("ascii")
    return LENGTH.pack(len(body)) + body


def decode(body: bytes) -> Message:
    """A message from what comes after its length."""
    message: Message = convert(json.loads(body), Message, dec_hook=_typed)
    return message


def receive(connection: socket.socket) -> Message:
    """The next message, blocking; `EOFError` when the other end is gone."""
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


def _plain(value: Any) -> Any:
    """What JSON has no form for: a `Secret` is a list, empty where its content is not known."""
    if isinstance(value, Secret):
        return [] if value.is_sealed else [value.value]
    if isinstance(value, str):
        return str.__str__(value)  # A user's own kind of text.
    if isinstance(value, frozenset):
        return sorted(value)
    raise NotImplementedError(type(value).__name__)


def _typed(kind: type, value: Any) -> Any:
    if kind is Secret:
        return Secret(value[0]) if value else Secret.sealed()
    raise NotImplementedError(kind.__name__)
