"""Where the snapshots of a journal's runs are."""

from __future__ import annotations

from alma.journal import Journal
from alma.pulumi.snapshot_files import snapshots_beside
from alma.pulumi.snapshots import Snapshots


def snapshots_of(journal: Journal) -> Snapshots:
    """Those of all its runs."""
    return snapshots_beside(journal.path)
