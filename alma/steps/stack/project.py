"""A user's Pulumi project, as far as its definition goes: that it is there, and its name."""

from __future__ import annotations

from pathlib import Path

from alma.errors import DefinitionError

FILES = ("Pulumi.yaml", "Pulumi.yml", "Pulumi.json")
"""The names that Pulumi itself looks for."""


def find_project(where: str, directory: Path) -> str:
    """The name of the project in the directory; DefinitionError when there is none."""
    path = next((directory / name for name in FILES if (directory / name).is_file()), None)
    if path is None:
        raise DefinitionError(f"{where}: {directory} has no Pulumi.yaml.")
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        words = " ".join(str(error).split())
        raise DefinitionError(f"{where}: {path} cannot be read: {words}.") from error
    name = found.get("name") if isinstance(found, dict) else None
    if not isinstance(name, str) or not name:
        raise DefinitionError(f"{where}: {path} does not name its project.")
    return name
