"""A saga that a worker serves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from alma.errors import DefinitionError
from alma.runner.settings import Settings
from alma.saga.given_values import Arguments
from alma.saga.saga import Saga
from alma.saga.target import LoadedSaga, Target


class Served(Struct, frozen=True, kw_only=True):
    """What TARGET means, and its saga with what was said where the worker was started."""

    opened: Target
    loaded: LoadedSaga
    settings: Settings

    def saga(self, parameters: Mapping[str, Any], overrides: Mapping[str, str]) -> Saga:
        """The saga of a run: a function is called with what that was given, and nothing else.

        Raises DefinitionError where this worker's function does not make the run's saga of it.
        """
        if not parameters:
            return self.loaded.saga
        known = {one.name for one in self.opened.parameters}
        if unknown := sorted(parameters.keys() - known):
            raise DefinitionError(
                f"{self.opened.name} on this worker has no parameter {unknown[0]!r}.",
                hint="Give the worker the code that the run is begun with.",
            )
        said = Arguments(
            known=parameters,
            stack=overrides.get("stack", ""),
            organization=overrides.get("organization", ""),
        )
        saga = self.opened.load(said).saga
        if saga.target != self.loaded.saga.target:
            raise DefinitionError(
                f"{self.opened.name} makes {saga.target} of the run's parameters, and this worker "
                f"serves {self.loaded.saga.target}."
            )
        return saga
