from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

GUARDED = """\
import os, pathlib
def test_guard(tmp_path):
    assert pathlib.Path.home() != pathlib.Path("/own")
    assert pathlib.Path.cwd() == tmp_path
    assert "PULUMI_BACKEND_URL" not in os.environ
    assert "PULUMI_CONFIG_PASSPHRASE" not in os.environ
    assert not [n for n in os.environ if n.startswith(("AWS_", "DOCKER_", "KUBE"))]
    assert not pathlib.Path(os.environ["PULUMI_HOME"], "credentials.json").exists()
    assert pathlib.Path(os.environ["PULUMI_HOME"], "plugins", "resource-x").exists()
def test_engine(pulumi_cli):
    pass
"""

INTERRUPTIBLE = """\
import signal, subprocess, sys
def test_children(tmp_path):
    for sent in (signal.SIGINT, signal.SIGHUP):
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        child.send_signal(sent)
        assert child.wait(timeout=300) == -sent
"""


def test_the_guard_of_all_tests(tmp_path: Path) -> None:
    """Tests see no login of the user's; without a CLI those that need it fail, and say why."""
    (tmp_path / "test_guarded.py").write_text(GUARDED)
    (tmp_path / "pulumi" / "plugins" / "resource-x").mkdir(parents=True)
    (tmp_path / "pulumi" / "credentials.json").write_text("{}")
    environment = {
        "PATH": str(tmp_path),
        "HOME": "/own",
        "PULUMI_HOME": str(tmp_path / "pulumi"),
        "PULUMI_BACKEND_URL": "https://backend.example",
        "PULUMI_CONFIG_PASSPHRASE": "own",
        "AWS_PROFILE": "own",
        "DOCKER_HOST": "tcp://daemon.example:2376",
        "KUBECONFIG": "/own/.kube/config",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider"]
    run = subprocess.run(
        [*command, "--rootdir", tmp_path, tmp_path / "test_guarded.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1, run.stdout
    assert "1 passed, 1 error" in run.stdout
    assert "run the tests by `nox -s tests`" in run.stdout


def test_a_background_job_of_a_shell_can_send_its_signals(tmp_path: Path) -> None:
    """There SIGINT is ignored, and each child would inherit that."""
    (tmp_path / "test_children.py").write_text(INTERRUPTIBLE)
    pytest = f"{sys.executable} -m pytest -p tests.conftest -p no:cacheprovider"
    run = subprocess.run(
        ["sh", "-c", f"trap '' INT HUP; exec {pytest} --rootdir . test_children.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout


DRAWING = """\
import importlib, os, pathlib
from hypothesis import given, settings, strategies

if name := os.environ.get("MORE"):
    importlib.import_module(name)
drawn = []

@settings(max_examples=60)
@given(strategies.integers(), strategies.text())
def test_draws(number, text):
    drawn.append((number, text))

def test_told():
    pathlib.Path(os.environ["TOLD"]).write_text(repr(drawn))
"""


def test_each_run_judges_the_same_cases_unless_fresh_ones_are_asked_for(tmp_path: Path) -> None:
    """Whatever modules other tests have loaded, whose constants Hypothesis would try too."""
    (tmp_path / "test_drawing.py").write_text(DRAWING)
    constants = ", ".join(str(number) for number in range(10**6, 10**6 + 500))
    (tmp_path / "more.py").write_text(f"NUMBERS = ({constants})\n")
    pytest = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider"]

    def drawn(**environment: str) -> str:
        told = tmp_path / "told"
        path = os.pathsep.join((str(ROOT), str(tmp_path)))
        subprocess.run(
            [*pytest, "--rootdir", ".", "test_drawing.py"],
            cwd=tmp_path,
            env={"PATH": str(tmp_path), "PYTHONPATH": path, "TOLD": str(told), **environment},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        return told.read_text()

    first = drawn()
    assert drawn(MORE="more") == first
    assert drawn(ALMA_TESTS_FRESH="1") != first
