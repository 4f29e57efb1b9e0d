"""Names and surroundings that nobody chose for alma."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from alma.reports import text

Write = Callable[..., Path]
Call = Callable[..., Result]


def test_names_stay_on_one_line_and_in_one_direction() -> None:
    urn = "urn:pulumi:dev::p::aws:s3/bucket:Bucket::pulumi:pulumi:Stack::a\nb\u202egpj.exe"
    assert text.resource(urn) == "aws:s3/bucket:Bucket pulumi:pulumi:Stack::a\\nb\\u202egpj.exe"
    assert text.name("a\r\nb") == "a\\r\\nb"


def test_the_failed_step_is_marked_in_status(write: Write, cli: Call) -> None:
    write(
        "from alma import Saga\nsaga = Saga('s')\n"
        "def no(): raise RuntimeError('the cause')\n"
        "saga.add_step(lambda: None, lambda: None, name='a')\n"
        "saga.add_step(no, lambda: None, name='b')\n"
    )
    assert cli("up").exit_code == 4
    rows = {line.split()[0]: line for line in cli("status").stdout.splitlines() if line}
    assert rows["b"].endswith("failed; its compensation was called")
    assert "failed" not in rows["a"]


def test_of_many_steps_the_cause_is_near_the_end(write: Write, cli: Call) -> None:
    write(
        "from alma import Saga\nsaga = Saga('s')\n"
        "def no(): raise RuntimeError('the cause')\n"
        "for n in range(60):\n"
        "    saga.add_step(lambda: None, lambda: None, name=f'a{n}')\n"
        "saga.add_step(no, 'none', name='b')\n"
    )
    result = cli("up")
    assert result.exit_code == 4
    end = result.stderr.splitlines()[-30:]
    assert any("the cause" in line for line in end)
    assert any("... and 41 more" in line for line in end)


def test_a_file_in_the_place_of_a_module_of_pythons_is_named(
    write: Write,
    spawn: Callable[..., subprocess.Popen[str]],
    environment: dict[str, str],
    tmp_path: Path,
) -> None:
    """PYTHONPATH has chosen it: what only stands beside the saga takes no such place."""
    write(
        "from pathlib import Path\nfrom alma import Saga\nsaga = Saga('s')\n"
        "saga.add_step(Path('done').touch, 'none', name='a')\n"
    )
    (tmp_path / "secrets.py").write_text("KEY = 'x'\n")
    chosen = os.pathsep.join([str(tmp_path), environment["PYTHONPATH"]])
    process = spawn("up", env={**environment, "PYTHONPATH": chosen})
    _, err = process.communicate(timeout=300)
    assert process.returncode == 2, err
    assert f"{tmp_path / 'secrets.py'} stands in the way of Python's own module secrets" in err
    assert not (tmp_path / "done").exists()


UNDONE = """
from pulumi.dynamic import CreateResult, Resource, ResourceProvider
from alma import Saga

class P(ResourceProvider):
    def create(self, props):
        return CreateResult("x", props)

class R(Resource):
    def __init__(self, name):
        super().__init__(P(), name, {})

def no():
    raise RuntimeError("no")

saga = Saga("s")
saga.add_stack("a", lambda: R("r"))
saga.add_step(no, "none", name="b", after=["a"])
"""


@pytest.mark.usefixtures("pulumi_cli")
def test_with_closed_standard_descriptors_a_stack_comes_up_and_is_undone(
    write: Write, cli: Call, environment: dict[str, str]
) -> None:
    write(UNDONE)
    command = f"exec {sys.executable} -m alma up <&- >&- 2>&-"
    done = subprocess.run(["sh", "-c", command], env=environment, timeout=300, check=False)
    assert done.returncode == 4
    said = cli("status").stdout
    assert "2 created  destroyed" in said, said
    assert "b     COMPENSATED" in said


def test_a_signal_while_alma_loads_is_told_in_a_sentence() -> None:
    """Nothing was begun then, so there is nothing that `status` could tell."""
    code = (
        "import os, signal, sys\n"
        "class Now:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'alma.cli.program':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "sys.meta_path.insert(0, Now())\n"
        "from alma.cli import main\n"
        "main()\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (8, "Interrupted: nothing was begun.\n")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere processes are seen without a file")
def test_where_no_process_can_be_seen_nothing_is_begun(
    write: Write, cli: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without /proc everybody would be taken for dead: one sentence, before the start."""
    write(
        "from alma import Saga\nfrom pathlib import Path\nsaga = Saga('s')\n"
        "saga.add_step(lambda: Path('made').touch(), lambda: None, name='a')\n"
    )
    monkeypatch.setattr("psutil.PROCFS_PATH", str(tmp_path / "none"))
    for command in ("up", "destroy"):
        refused = cli(command)
        assert refused.exit_code == 2
        assert "The processes of this machine cannot be seen" in refused.stderr
    told = cli("doctor")
    assert (told.exit_code, "the processes of this machine" in told.stdout.lower()) == (1, True)
    assert not Path("made").exists()
