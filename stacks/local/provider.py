"""What the dynamic providers share: how they are found again, and how changes are told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from pulumi.dynamic import CheckFailure, ResourceProvider
from pulumi.runtime.rpc import UNKNOWN

from stacks.local.process import ROOT, Identity

_REVIVE = (
    "[__import__('sys').path.append({root!r}), "
    "getattr(__import__({module!r}, fromlist=['']), {name!r})()][1]"
)


class LocalProvider(ResourceProvider):
    """A provider that Pulumi's state refers to by name and place instead of holding its code.

    Pulumi pickles the provider into the state and unpickles it in a process of its own, at a
    destroy long after the program is gone. Code in the state would be bytecode of one Python
    version and stay as it was; a bare reference needs `stacks` on that process's path. So: a
    reference, and where it was found. `PYTHONPATH` comes first, for a checkout that has moved.
    """

    def __reduce__(self) -> tuple[Callable[[str], Any], tuple[str]]:
        """Pickle as an expression that imports the class and makes one."""
        kind = type(self)
        source = _REVIVE.format(root=str(ROOT), module=kind.__module__, name=kind.__name__)
        return eval, (source,)


def changed(olds: Mapping[str, Any], news: Mapping[str, Any], keys: Iterable[str]) -> list[str]:
    """Which of `keys` differ; a value not known yet in a preview counts as different."""
    return [key for key in keys if olds.get(key) != news.get(key)]


def known(value: Any) -> bool:
    """Whether a value can be looked at; in a preview some cannot yet."""
    return bool(value != UNKNOWN)


def check_directory(news: Mapping[str, Any]) -> list[CheckFailure]:
    """The failure for a `directory` that is not absolute, or none."""
    if known(news["directory"]) and not Path(news["directory"]).is_absolute():
        return [CheckFailure("directory", "must be an absolute path")]
    return []


def check_port(news: Mapping[str, Any]) -> list[CheckFailure]:
    """The failure for a `port` that is none, or none."""
    port = news["port"]
    # Every number comes as a float: Pulumi's wire format has no other.
    if known(port) and not (isinstance(port, (int, float)) and port in range(65536)):
        return [CheckFailure("port", f"must be a port, or 0 for a free one, not {port!r}")]
    return []


def identity_of(props: Mapping[str, Any]) -> Identity | None:
    """The process in a resource's outputs."""
    if props.get("pid") is None or props.get("start") is None:
        return None
    return Identity(int(props["pid"]), float(props["start"]))
