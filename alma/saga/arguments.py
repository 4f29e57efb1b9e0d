"""What whoever writes a saga has given, and has not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alma.errors import DefinitionError
from alma.steps.step import StepOptions


def chosen(options: StepOptions) -> dict[str, Any]:
    """Without what is None: that is the default."""
    return {name: value for name, value in options.items() if value is not None}


def once(what: str, by_name: Any, by_position: Any) -> Any:
    """The one that is there; two are refused."""
    if by_name is not None and by_position is not None:
        raise DefinitionError(f"add_step: the {what} is given twice.")
    return by_name if by_position is None else by_position


def made_in(module: Mapping[str, Any]) -> str:
    """The module's file; empty in a REPL, a notebook and under `python -c`."""
    file = module.get("__file__")
    return str(Path(file).absolute()) if file else ""


def called_in(file: str) -> str:
    """The stem of a module's file; that of a package is its folder's name."""
    if not file:
        return "saga"
    path = Path(file)
    return path.parent.name if path.stem in {"__init__", "__main__"} else path.stem
