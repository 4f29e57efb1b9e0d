"""Pulumi's programs among the processes: the CLI of an operation, and the plugins it started."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from alma.core.events import Process
from alma.pulumi.prewarm import WORKER
from alma.system.processes import GONE, find, marked
from alma.system.starting import is_starting

if TYPE_CHECKING:
    import psutil

_PLUGIN_NAMES: Final = ("pulumi-resource-", "pulumi-language-", "pulumi-analyzer-")
"""Of executables (`sdk/go/common/workspace/plugins.go` in pulumi/pulumi)."""

_FRONT: Final = 6
"""Of a command line: an interpreter, its options, the script."""


def family_of(operation: str, cli: Process | None) -> list[psutil.Process]:
    """The CLI, then its plugins: its descendants, and those that carry the marker."""
    found: dict[int, psutil.Process] = {}
    head = find(cli) if cli is not None else None
    if head is not None:
        found[head.pid] = head
        with suppress(*GONE):
            children = head.children(recursive=True)
            found.update((child.pid, child) for child in children if is_plugin(child))
    found.update((process.pid, process) for process in marked_programs(operation))
    return list(found.values())


def marked_programs(operation: str) -> list[psutil.Process]:
    """The CLI and plugins that carry an operation's marker."""
    return marked(operation, lambda process: is_cli(process) or is_plugin(process))


def is_cli(process: psutil.Process) -> bool:
    """Whether it is the Pulumi CLI itself, not one of its plugins; also if it has yet to begin.

    It may be a script: then its interpreter is in front of it, with options if it has some, and it
    has its whole path.
    """
    try:
        # A program that has only just begun has its name before its arguments.
        arguments = process.cmdline()[:_FRONT] or [process.name()]
    except GONE:
        return False
    scripts = [word for word in arguments[1:] if not word.startswith("-")][:1]
    paths = arguments[:1] + [word for word in scripts if "/" in word]
    return is_starting(arguments) or "pulumi" in {Path(path).name for path in paths}


def is_worker(process: psutil.Process) -> bool:
    """Whether it is one of alma's own, which may have other work by now."""
    try:
        return WORKER in process.cmdline()[:_FRONT]
    except GONE:
        return False


def is_plugin(process: psutil.Process) -> bool:
    """Whether it is a provider, a language host or their like.

    What a plugin has started is none, though it inherits the marker: it may be the very resource,
    a server that is meant to stay.
    """
    try:
        arguments = process.cmdline()
    except GONE:
        return False
    if "pulumi.dynamic" in arguments[:5]:
        return True
    return any(Path(argument).name.startswith(_PLUGIN_NAMES) for argument in arguments[:2])
