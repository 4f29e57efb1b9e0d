"""A step's config split by where each value may go. Imports no pulumi."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from alma.core.secret import secrets_in, unwrap
from alma.pulumi.engine import StackRef


@dataclass(frozen=True, kw_only=True, repr=False)
class SplitConfig:
    """`plain`: to the settings file. `injected`: to the program's process. `sealed`: to the CLI."""

    plain: Mapping[str, Any]
    injected: Mapping[str, str]
    sealed: Mapping[str, str]


def split(ref: StackRef, config: Mapping[str, Any]) -> SplitConfig:
    """Split by secrecy; keys get their namespace, which is the project where none is given.

    A secret of the project goes straight to an inline program. Secrets of other namespaces are
    for providers, which the CLI configures, and a program in another process has them from the
    CLI as well. A value with a secret anywhere inside is secret as a whole.
    """
    plain: dict[str, Any] = {}
    injected: dict[str, str] = {}
    sealed: dict[str, str] = {}
    for key, value in config.items():
        full = key if ":" in key else f"{ref.project}:{key}"
        if not any(True for _ in secrets_in(value)):
            plain[full] = _jsonable(value)
        elif ref.work_dir or not full.startswith(f"{ref.project}:"):
            sealed[full] = text_of(unwrap(value))
        else:
            injected[full] = text_of(unwrap(value))
    return SplitConfig(plain=plain, injected=injected, sealed=sealed)


def text_of(value: Any) -> str:
    """A value as a program gets it from Pulumi: text as it is, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def _jsonable(value: Any) -> Any:
    """Plain lists and dicts, whatever the caller's types of them are."""
    if isinstance(value, Mapping):
        return {str(key): _jsonable(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(entry) for entry in value]
    return value
