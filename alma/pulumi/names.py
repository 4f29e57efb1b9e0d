"""The last guard before a name reaches the CLI, where `--help` and `..` would be obeyed."""

from __future__ import annotations

from alma.core.validation import check_name
from alma.pulumi.engine import StackRef


def guard(ref: StackRef) -> None:
    """Raise `DefinitionError` for a project or stack name that no process may be given."""
    check_name("project", ref.project)
    check_name("stack", ref.stack)
