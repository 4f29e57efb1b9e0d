"""What stands beside a saga or a project takes the place of none of Python's own modules."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from alma.core.search_path import python_first

SAGA = """
import pulumi
from pulumi.dynamic import CreateResult, Resource
from alma import Saga
import helper

def program():
    import subprocess, sys
    made = helper.Made("x")
    script = [sys.executable, "tools/script.py"]
    said = subprocess.run(script, capture_output=True, text=True, check=True).stdout
    pulumi.export("said", said.strip())
    pulumi.export("id", made.id)

def action():
    return {"word": helper.WORD}

saga = Saga("s")
saga.add_step(action, "none", name="a")
saga.add_stack("b", program)
"""
HELPER = """
from pulumi.dynamic import CreateResult, Resource, ResourceProvider

WORD = "of-helper"

class Maker(ResourceProvider):
    def create(self, props):
        import beside
        return CreateResult(beside.NAME, props)

class Made(Resource):
    def __init__(self, name):
        super().__init__(Maker(), name, {})
"""


def plant(place: Path) -> Path:
    """A module of each name of Python's own here that says who has imported it."""
    marker = place / "who"
    word = f"import sys; open({str(marker)!r}, 'a').write(f'{{__name__}} {{sys.argv}}\\n')\n"
    for name in sys.stdlib_module_names:
        if not name.startswith("_") and find_spec(name) is not None:
            (place / f"{name}.py").write_text(word)
    return marker


@pytest.mark.usefixtures("pulumi_cli")
def test_no_neighbour_is_run_in_the_place_of_a_module_of_pythons(tmp_path: Path) -> None:
    """Runner, worker and dynamic provider; and what is meant to be imported still is."""
    (tmp_path / "saga.py").write_text(SAGA)
    (tmp_path / "helper.py").write_text(HELPER)
    (tmp_path / "beside.py").write_text("NAME = 'made-beside'\n")
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "script.py").write_text("import neighbour; print(neighbour.WORD)\n")
    (tools / "neighbour.py").write_text("WORD = 'found'\n")
    marker = plant(tmp_path)
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [str(Path(sys.executable).with_name("alma-pulumi")), "up", "--json"]
    done = subprocess.run(
        command, env=environ, capture_output=True, text=True, check=False, timeout=300
    )
    assert not marker.exists(), marker.read_text()
    assert done.returncode == 0, done.stderr
    for word in ("of-helper", "made-beside", "found"):
        assert f'"{word}"' in done.stdout


def test_what_pythonpath_names_stays_in_front() -> None:
    own = os.path.dirname(os.__file__)  # noqa: PTH120
    entries = ["/beside", "/chosen", own, f"{own}/lib-dynload", "/installed"]
    assert python_first(entries, {"PYTHONPATH": "/chosen:"}) == [
        "/chosen",
        own,
        f"{own}/lib-dynload",
        "/beside",
        "/installed",
    ]
