"""The plain Automation API over the local programs, for use in a process of its own.

Apart from the tests' process because the API leaves event loops and sockets for the garbage
collector to find, which the tests' strictness about warnings would pin on whoever comes next.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pulumi import automation as auto

from stacks.local import balancer, database, servers

_PROGRAMS = {
    "database": database.program,
    "servers": servers.program,
    "balancer": balancer.program,
}

# Selecting a stack and setting its config are processes of their own: once is enough.
_stacks: dict[str, auto.Stack] = {}
_configs: dict[str, dict[str, str]] = {}


class EngineError(Exception):
    """What the CLI said. (The API's own error does not survive the way between processes.)"""


def up(name: str, work_dir: str, config: dict[str, str]) -> dict[str, Any]:
    """Bring a stack up; its outputs in plain. `db_password` is a secret."""
    if work_dir not in _stacks:
        Path(work_dir).mkdir(parents=True, exist_ok=True)
        _stacks[work_dir] = auto.create_or_select_stack(
            "dev",
            project_name=f"local-{name}",
            program=_PROGRAMS[name],
            opts=auto.LocalWorkspaceOptions(work_dir=work_dir),
        )
    stack = _stacks[work_dir]
    if config and config != _configs.get(work_dir):
        stack.set_all_config(
            {key: auto.ConfigValue(text, key == "db_password") for key, text in config.items()}
        )
        _configs[work_dir] = config
    try:
        return {key: output.value for key, output in stack.up().outputs.items()}
    except auto.CommandError as error:
        raise EngineError(str(error)) from None
