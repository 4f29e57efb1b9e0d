"""The command lines of operations, as the Automation API has them. Imports no pulumi.

The stock `Stack.up` is four CLI processes: it selects the stack, and afterwards asks for outputs,
secrets in plaintext, and for the history. Each operation here names its stack and is one process;
the runner reads the outputs from the state, where secrets are still encrypted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from alma.pulumi.messages import TaskKind

_LOG: Final = ("--color", "never", "--suppress-outputs", "--suppress-progress")
"""The log is for people, but the outputs may be large, and are the user's to show."""
_KINDS: Final[dict[TaskKind, tuple[str, ...]]] = {
    "up": ("up", "--yes", "--skip-preview"),
    # What can be put back is, whatever else fails.
    "restore": ("up", "--yes", "--skip-preview", "--continue-on-error"),
    "preview": ("preview",),
    "foresee": ("preview",),
    "look": ("refresh", "--preview-only"),
    "destroy": ("destroy", "--yes", "--skip-preview"),
}


def operation(
    kind: TaskKind,
    stack: str,
    *,
    event_log: str,
    settings: str = "",
    address: str = "",
    targets: Sequence[str] = (),
) -> list[str]:
    """Of an operation; `address` is where its program is served, if this is not the CLI's task."""
    arguments = [*_KINDS[kind], *_LOG]
    for target in targets:
        arguments += ["--target", target]
    if settings:
        arguments += ["--config-file", settings]
    if address:
        arguments.append(f"--client={address}")
    # Told to whom keeps the stack's history: `sdk/go/auto/stack.go` in pulumi/pulumi.
    arguments += ["--exec-kind", "auto.inline" if address else "auto.local"]
    return [*arguments, "--event-log", event_log, "--stack", stack]


def init(stack: str) -> list[str]:
    """Make a stack's record; no user's selection is changed."""
    return ["stack", "init", "--no-select", "--stack", stack]


def remove(stack: str) -> list[str]:
    """Remove a stack's record, which must be empty."""
    return ["stack", "rm", "--yes", "--stack", stack]


def set_secret(stack: str, key: str, settings: str) -> list[str]:
    """Encrypt the text on stdin into the settings, under this key."""
    front = ["config", "set", "--secret", "--raw", "--stack", stack, "--config-file", settings]
    return [*front, "--", key]
