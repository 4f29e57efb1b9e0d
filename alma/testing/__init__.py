"""Public fakes and fault points: what alma's own tests use, for tests of your sagas as well.

`FakeEngine` stands in for Pulumi: stacks live in a dict, faults are data. It keeps the same
Protocol and the same promises as the real engine; tests/faults/test_fake_agrees.py runs one
schedule through both. `JournalFaults` stands between a run and its journal, a real SQLite file.
Neither needs anything of the code under test but `Settings.engine` and `Settings.open_journal`.

    life = Life()
    settings = Settings(
        journal=tmp_path / "journal.db",
        engine=FakeEngine(life=life),
        open_journal=JournalFaults([JournalFault(nth=4, effect="crash_after")], life=life),
    )

A `Crash` that comes out of a run is its runner's death: what it held in memory and its lease are
gone, and nothing that shares its `Life` does anything any more. The next runner gets a journal
opened anew, and `engine.restarted()`: another engine over the same world.

With the real engine: `alma.testing.plugin` is the pytest plugin, and `Deployed` what its fixture
`deployed` gives.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alma.testing.deployed import Deployed
    from alma.testing.engine import FakeEngine
    from alma.testing.faults import Crash, Fault, FaultEffect, JournalEffect, JournalFault, Life
    from alma.testing.journal import JournalFaults
    from alma.testing.world import FakeProgram

__all__ = [
    "Crash",
    "Deployed",
    "FakeEngine",
    "FakeProgram",
    "Fault",
    "FaultEffect",
    "JournalEffect",
    "JournalFault",
    "JournalFaults",
    "Life",
]

_HOMES = {
    "deployed": ("Deployed",),
    "engine": ("FakeEngine",),
    "faults": ("Crash", "Fault", "FaultEffect", "JournalEffect", "JournalFault", "Life"),
    "journal": ("JournalFaults",),
    "world": ("FakeProgram",),
}


def __getattr__(name: str) -> Any:
    """Load what is asked for: pytest loads this package, for the plugin, at every start."""
    for module, names in _HOMES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(f"alma.testing.{module}"), name)
            return value
    raise AttributeError(f"module 'alma.testing' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
