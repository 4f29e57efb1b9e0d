"""The TARGET where none is given: the saga's file in the working directory."""

from __future__ import annotations

from pathlib import Path
from typing import Final

NAMES: Final = ("saga.py", "saga.yaml", "saga.yml")


def there() -> list[str]:
    """Those that are in the working directory."""
    return [name for name in NAMES if Path(name).exists()]


def default_target() -> str:
    """The first that is there; where there is none, the first."""
    return next(iter(there()), NAMES[0])
