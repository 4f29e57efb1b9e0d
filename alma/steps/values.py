"""What a step is given, as the journal may keep it: secrets are only named; and as a digest."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from glob import glob
from pathlib import Path
from typing import Any, Final

from alma.core.code_digest import code_digest
from alma.core.definition import StepDefinition
from alma.core.redaction import Redactor
from alma.core.secret import mask, secrets_in
from alma.errors import DefinitionError
from alma.steps.step import Output

_ASKED: Final = {"undo", "check"}
UNDO: Final = "undo itself"
"""Among the secrets of a definition: the undo holds one, and so is not kept."""


def journaled_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """The `values` that a step is given, for its `settings`; references to others are left out."""
    given = {key: value for key, value in values.items() if not isinstance(value, Output)}
    return {"values": given, "secrets": []}


def without_secrets(
    settings: Mapping[str, Any], redact: Redactor
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings of a step as anybody may see them, and what is left out, to be kept sealed.

    Left out is what is secret, or holds a secret of another one as plain text; `secrets` names it.
    """
    values = settings.get("values", {})
    secret = {key: value for key, value in values.items() if _tells(value, redact)}
    parts = {key: settings[key] for key in settings if key not in ("values", "secrets")}
    told = {
        key
        for key, part in parts.items()
        if any(secrets_in(part)) or (key in _ASKED and _tells(part, redact))
    }
    if told & _ASKED:
        told |= _ASKED & parts.keys()  # what undoes and what shows it belong together
    kept = {key: part for key, part in parts.items() if key not in told}
    sealed = {key: parts[key] for key in told}
    names = {UNDO if key in _ASKED else key for key in told}
    if secret:
        sealed["values"] = secret
    if "values" in settings:
        kept["values"] = {key: value for key, value in values.items() if key not in secret}
    # What a kind names itself it keeps nowhere: that is asked for.
    named = settings.get("secrets", ())
    if "values" in settings or told or named:
        kept["secrets"] = sorted({*named, *names, *secret})
    return kept, sealed


def with_secrets(settings: Mapping[str, Any], sealed: Mapping[str, Any]) -> dict[str, Any]:
    """The whole settings again: the inverse of `without_secrets`."""
    if not sealed:
        return dict(settings)
    values = {**settings.get("values", {}), **sealed.get("values", {})}
    again = {UNDO if key in _ASKED else key for key in (*sealed, *sealed.get("values", {}))}
    lacking = [name for name in settings.get("secrets", ()) if name not in again]
    return {**settings, **sealed, "values": values, "secrets": lacking}


def _tells(value: Any, redact: Redactor) -> bool:
    return any(secrets_in(value)) or redact.clean(value) != value


def inputs_of(step: StepDefinition) -> dict[str, Any]:
    """A step's inputs from its definition alone: values, and references to other steps."""
    found: dict[str, Any] = dict(step.settings.get("values", {}))
    for key, source in step.inputs.items():
        if owner := step.owner_of(source):
            found[key] = Output(owner, source.removeprefix(f"{owner}."))
    return found


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


_NO_SOURCE: Final = frozenset({"node_modules", "__pycache__"})


def tree_digest(directory: Path, written: tuple[str, ...]) -> str:
    """Of all files below a directory that a program may be made of, by their contents.

    Not of hidden directories, virtual environments, `node_modules`, and files whose names begin so
    or end so as `written`: those that a tool writes itself. A large file counts by size and time.
    """
    total = hashlib.sha256()
    for place, directories, names in os.walk(directory):
        directories[:] = sorted(
            name
            for name in directories
            if not name.startswith(".")
            and name not in _NO_SOURCE
            and not Path(place, name, "pyvenv.cfg").exists()
        )
        for name in sorted(names):
            if written and (name.endswith(written) or name.startswith(written)):
                continue
            path = Path(place, name)
            total.update(f"{path.relative_to(directory)}\0{_contents(path)}\0".encode())
    return total.hexdigest()


def watched_digest(where: str, patterns: Iterable[str | Path]) -> str:
    """Of files, directories and globs, if any; DefinitionError for one that matches nothing."""
    found = {}
    for pattern in map(str, patterns):
        paths = [pattern]
        if not os.path.lexists(pattern):
            paths = sorted(glob(pattern, recursive=True))  # noqa: PTH207 - of any root
        if not paths:
            raise DefinitionError(f"{where}: watch names {pattern}, and nothing is there.")
        for path in map(Path, paths):
            found[str(path)] = tree_digest(path, ()) if path.is_dir() else _contents(path)
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest() if found else ""


def _contents(path: Path) -> str:
    try:
        about = path.stat()
        if about.st_size > LARGEST_PROJECT_FILE:
            return f"{about.st_size} {about.st_mtime_ns}"
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return "unreadable"


def files_digest(paths: Iterable[Path]) -> str:
    """Of their names and contents."""
    total = hashlib.sha256()
    for path in paths:
        if path.stat().st_size <= LARGEST_PROJECT_FILE:
            total.update(f"{path.name}\0".encode() + path.read_bytes())
    return total.hexdigest()


def lacking(step: StepDefinition) -> str:
    """Why the journal alone does not suffice to undo the step; empty when it does."""
    if step.compensation == "callable":
        return f'The compensation of step "{step.name}" is a function, which no journal can keep.'
    for name in step.settings.get("secrets", ()):
        return f'The undo of step "{step.name}" needs a secret that is not at hand: {name}.'
    return ""
