"""A scratch directory that takes its processes down with it, whatever the test did."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from stacks.local import process
from stacks.local.process import Identity


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    """A directory; every process recorded below it, or started by this one, ends with the test."""
    before = set(process._children)
    yield tmp_path
    with ExitStack() as all_of_them:
        for record in tmp_path.rglob("process.json"):
            content = json.loads(record.read_text())
            identity = Identity(content["pid"], content["start"])
            all_of_them.callback(process.stop, identity, term=1)
        for pid in set(process._children) - before:
            child = process._children[pid]
            all_of_them.callback(child.wait, 5)
            all_of_them.callback(child.kill)
