"""The plain Automation API over the local programs, for use in a process of its own.

Apart from the tests' process because the API leaves event loops and sockets for the garbage
collector to find, which the tests' strictness about warnings would pin on whoever comes next.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from pulumi import automation as auto
from pulumi.automation._stack import StackInitMode

from stacks.local import balancer, database, servers

_PROGRAMS = {
    "database": database.program,
    "servers": servers.program,
    "balancer": balancer.program,
}

# Making a stack and setting its config are processes of their own: once is enough.
_stacks: dict[str, _Stack] = {}
_configs: dict[str, dict[str, str]] = {}


class _Stack(auto.Stack):
    """A stack whose `up` asks the CLI neither for its history nor twice for its outputs."""

    def outputs(self) -> auto.OutputMap:
        """None: they are asked for by `values`."""
        return {}

    def info(self, show_secrets: bool = False) -> Any:  # noqa: ARG002 - the API's
        """Anything but nothing."""
        return ()

    def values(self) -> dict[str, Any]:
        """The outputs in plain."""
        asked = ["stack", "output", "--json", "--show-secrets"]
        answer: dict[str, Any] = json.loads(self._run_pulumi_cmd_sync(asked).stdout)
        return answer


@cache
def _command() -> auto.PulumiCommand:
    """One for all stacks: each would ask for the CLI's version."""
    return auto.PulumiCommand()


class EngineError(Exception):
    """What the CLI said. (The API's own error does not survive the way between processes.)"""


def up(name: str, work_dir: str, config: dict[str, str]) -> dict[str, Any]:
    """Bring a stack up; its outputs in plain. `db_password` is a secret."""
    if work_dir not in _stacks:
        Path(work_dir).mkdir(parents=True, exist_ok=True)
        workspace = auto.LocalWorkspace(
            work_dir=work_dir,
            program=_PROGRAMS[name],
            project_settings=auto.ProjectSettings(name=f"local-{name}", runtime="python"),
            pulumi_command=_command(),
        )
        _stacks[work_dir] = _Stack("dev", workspace, StackInitMode.CREATE)
    stack = _stacks[work_dir]
    if config and config != _configs.get(work_dir):
        stack.set_all_config(
            {key: auto.ConfigValue(text, key == "db_password") for key, text in config.items()}
        )
        _configs[work_dir] = config
    try:
        stack.up()
        return stack.values()
    except auto.CommandError as error:
        raise EngineError(str(error)) from None
