"""What a step would do, as a digest: by it a resumed run knows that its saga has changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from alma.core.secret import mask
from alma.pulumi.programs import code_digest
from alma.steps.step import Output

LARGEST_PROJECT_FILE: Final = 1024 * 1024
"""Bytes up to which a file of a `work_dir` counts for the digest: larger ones are no source."""


def digest(*parts: Any) -> str:
    """Of parts that are JSON."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def code(function: Callable[..., Any] | None) -> str:
    """Of a function's code; empty for none."""
    return "" if function is None else code_digest(function)


def plain(values: Mapping[str, Any]) -> Any:
    """Config as it counts for the digest: of a secret, only that there is one."""
    return {
        key: f"{value.step}.{value.name}" if isinstance(value, Output) else mask(value)
        for key, value in values.items()
    }


def project_digest(work_dir: Path) -> str:
    """Of the files in the project's directory itself, stack settings left out."""
    return files_digest(
        path
        for path in sorted(work_dir.iterdir())
        if not path.name.startswith(".")
        and not (path.name.startswith("Pulumi.") and path.stem != "Pulumi")
        and path.is_file()
    )


def files_digest(paths: Iterable[Path]) -> str:
    """Of their names and contents."""
    total = hashlib.sha256()
    for path in paths:
        if path.stat().st_size <= LARGEST_PROJECT_FILE:
            total.update(f"{path.name}\0".encode() + path.read_bytes())
    return total.hexdigest()
