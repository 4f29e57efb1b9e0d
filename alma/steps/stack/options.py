"""`LocalWorkspaceOptions` of the Automation API as plain data; what does not fit is refused.

Whoever has made such an object has loaded the SDK: nothing here does.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from alma.errors import DefinitionError
from alma.pulumi.engine import WorkspaceOptions

_OF_THE_RUN: Final = (
    "PULUMI_BACKEND_URL",
    "PULUMI_CONFIG_PASSPHRASE",
    "PULUMI_CONFIG_PASSPHRASE_FILE",
)


class LocalWorkspaceOptions(Protocol):
    """As `pulumi.automation` has it."""

    work_dir: str | None
    pulumi_home: str | None
    program: Callable[[], Any] | None
    env_vars: Mapping[str, str] | None
    secrets_provider: str | None
    project_settings: Any
    stack_settings: Mapping[str, Any] | None
    pulumi_command: Any


class Workspace:
    """What the options of a step say, checked; the object itself is neither kept nor changed."""

    def __init__(self, where: str, given: LocalWorkspaceOptions | None) -> None:
        self._where = where
        self._given = given
        if given is None:
            return
        automation = sys.modules.get("pulumi.automation")
        kind = getattr(automation, "LocalWorkspaceOptions", ())
        if not isinstance(given, kind):
            raise DefinitionError(
                f"{where}: opts must be a pulumi.automation.LocalWorkspaceOptions, not {given!r}.",
                hint="Remote workspaces are run by a service that alma cannot watch.",
            )
        if given.pulumi_command is not None:
            raise DefinitionError(
                f"{where}: opts.pulumi_command does not fit, as one CLI serves a whole run.",
                hint="Put that CLI's directory first on PATH.",
            )

    def source(
        self, program: Callable[[], Any] | None, work_dir: str | Path | None
    ) -> tuple[Callable[[], Any] | None, str | Path | None]:
        """The step's program and work_dir, one of which the options may give."""
        if self._given is None:
            return program, work_dir
        for what, ours, theirs in (
            ("program", program, self._given.program),
            ("work_dir", work_dir, self._given.work_dir),
        ):
            if ours is not None and theirs is not None and ours is not theirs:
                raise DefinitionError(f"{self._where}: {what} is given twice, in opts as well.")
        program = program or self._given.program
        work_dir = work_dir or self._given.work_dir
        if program is not None and work_dir is not None:
            raise DefinitionError(
                f"{self._where}: opts.work_dir does not fit an inline program.",
                hint="Its project and settings files are alma's own: give project_settings.",
            )
        return program, work_dir

    def project(self, asked: str | None) -> str | None:
        """The project's name, if anybody gives one."""
        settings = self._given.project_settings if self._given else None
        if settings is None:
            return asked
        if asked is not None and asked != settings.name:
            raise DefinitionError(
                f"{self._where}: the project is {asked!r}, and in opts {settings.name!r}."
            )
        return str(settings.name)

    def options(self, stack: str, *, inline: bool) -> WorkspaceOptions:
        """All the rest, for the stack of this name."""
        if self._given is None:
            return WorkspaceOptions()
        return WorkspaceOptions(
            env=self._environment(self._given),
            secrets_provider=self._given.secrets_provider or "",
            project=self._project(self._given.project_settings, inline=inline),
            settings=self._settings((self._given.stack_settings or {}).get(stack)),
        )

    def _environment(self, given: LocalWorkspaceOptions) -> dict[str, str]:
        env = dict(given.env_vars or {})
        if given.pulumi_home is not None:
            env["PULUMI_HOME"] = str(given.pulumi_home)
        for name, value in env.items():
            if not isinstance(value, str):
                raise DefinitionError(f"{self._where}: opts.env_vars[{name!r}] must be a text.")
            if name in _OF_THE_RUN:
                raise DefinitionError(
                    f"{self._where}: {name} in opts.env_vars does not fit, "
                    "as one environment and passphrase serve a whole run.",
                    hint="Set it in the environment that the run is started in, or the backend of "
                    "this stack alone in project_settings.",
                )
        return env

    def _project(self, settings: Any, *, inline: bool) -> dict[str, Any]:
        if settings is None:
            return {}
        if not inline:
            raise DefinitionError(
                f"{self._where}: opts.project_settings do not fit a project of your own.",
                hint="Its Pulumi.yaml says the same, and alma never writes there.",
            )
        found: dict[str, Any] = settings.to_dict()
        found.pop("stackConfigDir", None)
        if found.get("main"):
            found["main"] = str(Path(found["main"]).absolute())
        return found

    def _settings(self, settings: Any) -> dict[str, Any]:
        if settings is None:
            return {}
        found = {
            "secretsprovider": settings.secrets_provider,
            "encryptedkey": settings.encrypted_key,
            "encryptionsalt": settings.encryption_salt,
            "config": {
                # What is encrypted already is an object of a class that is not public.
                key: {"secure": value.secure} if hasattr(value, "secure") else value
                for key, value in (settings.config or {}).items()
            },
        }
        return {key: value for key, value in found.items() if value}


def told(options: WorkspaceOptions) -> dict[str, Any]:
    """What the options make of a step's digest: of variables the names, as tokens change."""
    return {
        "env": sorted(options.env),
        "secrets_provider": options.secrets_provider,
        "project": options.project,
        "settings": options.settings,
    }
