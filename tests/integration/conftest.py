from __future__ import annotations

import os
from pathlib import Path

import pytest

NOTED = """#!/bin/sh
# Notes the words of each Pulumi process that is started, then is that process.
printf '%s\\n' "$*" >> "{notes}"
exec "{pulumi}" "$@"
"""


@pytest.fixture
def said_to_pulumi(pulumi_cli: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with the arguments of each Pulumi process."""
    notes, directory = tmp_path / "said-to-pulumi", tmp_path / "noting"
    directory.mkdir()
    wrapper = directory / "pulumi"
    wrapper.write_text(NOTED.format(notes=notes, pulumi=pulumi_cli))
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}{os.pathsep}{os.environ['PATH']}")
    return notes
