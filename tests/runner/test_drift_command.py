"""`alma-pulumi drift`: what it prints, and its exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from alma.cli.program import program as cli
from alma.runner import up
from alma.runner.drift import drift
from alma.testing import FakeEngine, FakeProgram, Fault
from tests.runner.helpers import settings, three
from tests.runner.test_drift import lose


@pytest.mark.parametrize(
    ("exits", "wanted"), [("none", 0), ("lost", 12), ("silent", 1)], ids=["none", "lost", "silent"]
)
async def test_the_command_tells_it_and_its_exit_code(
    journal: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    exits: str,
    wanted: int,
) -> None:
    """Its document has all; its text each resource."""
    fake = FakeEngine({"s-a": FakeProgram(resources=("one",))})
    await up(three(), settings=settings(fake, journal))
    if exits == "lost":
        lose(fake, "s-a::fake:index:Thing::one")
    if exits == "silent":
        fake = fake.restarted([Fault(project="s-a", operation="drift")])
    found = await drift(three(), settings=settings(fake, journal))
    monkeypatch.setattr("alma.cli.commands.drift._look", lambda *_: found)
    for words in (["drift"], ["drift", "--json"]):
        with pytest.raises(SystemExit) as left:
            cli.main(words)
        assert left.value.code == wanted
    said, _, document = capsys.readouterr().out.partition("{")
    assert ("delete fake:index:Thing one (s-a-one)" in said) is (exits == "lost")
    told = json.loads("{" + document)
    assert (
        told["steps"][0]["verdict"]
        == {"none": "none", "lost": "drifted", "silent": "unknown"}[exits]
    )
    assert told["exit_code"] == wanted
