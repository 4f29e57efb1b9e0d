from __future__ import annotations

from pathlib import Path

import pytest

from tests.examples.conftest import Place

pytestmark = pytest.mark.lives


def test_demo_holds_what_it_promises_and_leaves_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every expectation of it holds, and its working directory is gone."""
    temporary = place.directory / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    ended = place.python("demo.py")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "NOT SO" not in ended.stdout
    assert "All as expected" in ended.stdout
    assert list(temporary.iterdir()) == []
    assert place.left() == []


def test_demo_says_what_does_not_hold(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a Pulumi CLI its first command fails, and so does the demo, with a reason."""
    empty = place.directory / "bin"
    empty.mkdir()
    monkeypatch.setenv("PATH", str(empty))
    monkeypatch.setenv("TMPDIR", str(place.directory))
    ended = place.python("demo.py")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "NOT SO: exit code 0" in ended.stdout
    assert "Pulumi CLI" in ended.stdout
    assert [path for path in Path(place.directory).iterdir() if path != empty] == []
