from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import psutil

from alma.system.programs import named


def test_a_program_is_known_by_its_name_from_its_first_moment(tmp_path: Path) -> None:
    """Its arguments come a little after it: whoever looks in between must not take it for none."""
    program = tmp_path / "terraform"
    shutil.copy(shutil.which("sleep") or "", program)
    is_terraform = named(("terraform", "tofu"))
    for _ in range(50):
        with subprocess.Popen([program, "60"]) as begun:
            try:
                assert is_terraform(psutil.Process(begun.pid))
            finally:
                begun.kill()
