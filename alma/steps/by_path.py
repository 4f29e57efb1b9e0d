"""A function that is only named, as a file without code names it, until a run needs it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from operator import attrgetter
from typing import Any

from alma.core.search_path import python_first
from alma.errors import DefinitionError


@dataclass(frozen=True)
class ByPath:
    """`module:function`; the module is found as Python finds it, or in `directory`.

    `where` is how an error begins: the place in the file that names it.
    """

    path: str
    directory: str = field(default="", compare=False)
    where: str = field(default="", compare=False)

    @property
    def __name__(self) -> str:
        return self.path.rpartition(":")[2]

    def load(self) -> Callable[..., Any]:
        """The function itself. DefinitionError for what cannot be imported, or called."""
        module, _, name = self.path.partition(":")
        if self.directory:
            sys.path[:] = python_first([self.directory, *sys.path])
        try:
            found = attrgetter(name)(import_module(module))
        except (Exception, SystemExit) as error:
            words = " ".join(str(error).split()).rstrip(".")
            raise DefinitionError(
                f"{self.where}: {self.path} cannot be imported: {type(error).__name__}: {words}.",
                hint="Modules are found in the directory of the saga's file, and on PYTHONPATH.",
            ) from error
        if not callable(found):
            kind = type(found).__name__
            raise DefinitionError(f"{self.where}: {self.path} is of type {kind}, no function.")
        function: Callable[..., Any] = found
        return function

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """As the function does."""
        return self.load()(*arguments, **named)
