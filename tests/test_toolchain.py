from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from alma.pulumi.cli import MINIMUM
from tests.toolchain import cache, pulumi_cli, pulumi_installer
from tests.toolchain.fakes import PROGRAMS, add_go, add_pulumi, add_sdk, executable
from tests.toolchain.go_build import Pin
from tests.waiting import until

ROOT = Path(__file__).parents[1]
Start = Callable[..., subprocess.Popen[str]]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def offline() -> Iterator[str]:
    """A proxy that refuses every connection: the vendor cannot be reached through it."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


@pytest.fixture
def start(tmp_path: Path, offline: str) -> Start:
    """Start the toolchain with nothing on PATH but the directories given."""

    def start(
        *path: Path, command: tuple[str, ...] = ("-m", "tests.toolchain"), wanted: str = ""
    ) -> subprocess.Popen[str]:
        environment = {
            "PATH": os.pathsep.join(map(str, path)),
            "HOME": str(tmp_path),
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
            "https_proxy": offline,
            pulumi_cli.WANTED: wanted,
        }
        return subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT if command[0] == "-m" else tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


@pytest.fixture
def toolchain(start: Start) -> Run:
    """Run the toolchain to its end: exit code, stdout, stderr."""

    def run(*path: Path, **options: object) -> tuple[int, str, str]:
        process = start(*path, **options)
        stdout, stderr = process.communicate(timeout=300)
        return process.returncode, stdout, stderr

    return run


def assert_one_sentence(text: str) -> None:
    assert "Traceback" not in text
    assert re.fullmatch(r"[A-Z][^\n]*\.\n", text), text
    assert len(re.findall(r"[.!?](?=\s)", text)) == 1, text


def test_a_fitting_install_on_path_is_taken_as_it_is(toolchain: Run, tmp_path: Path) -> None:
    add_pulumi(tmp_path / "bin", "v3.259.0")
    calls = add_go(tmp_path / "bin")
    # Nothing has to be put at the front of PATH, and nothing is made.
    assert toolchain(tmp_path / "bin") == (0, "\n", "")
    assert not calls.exists()
    assert not (tmp_path / "cache").exists()


def test_plugins_beside_a_linked_cli_are_found(toolchain: Run, tmp_path: Path) -> None:
    add_pulumi(tmp_path / "installed")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "pulumi").symlink_to(tmp_path / "installed" / "pulumi")
    assert toolchain(tmp_path / "bin") == (0, f"{tmp_path / 'installed'}\n", "")


def test_only_what_is_missing_is_made(toolchain: Run, tmp_path: Path) -> None:
    add_pulumi(tmp_path / "bin", plugins=False)
    executable(tmp_path / "bin" / "pulumi-language-yaml", "#!/bin/sh\n")
    calls = add_go(tmp_path / "bin")
    code, stdout, _ = toolchain(tmp_path / "bin")
    assert code == 0
    assert [p.name for p in Path(stdout.strip()).iterdir()] == ["pulumi-resource-pulumi-python"]
    assert [line.split()[1] for line in calls.read_text().splitlines()] == ["mod"]


@pytest.mark.parametrize("version", ["v3.258.9", "v2.300.0", "v4.0.0", "dev"])
def test_another_version_is_not_taken(toolchain: Run, tmp_path: Path, version: str) -> None:
    add_pulumi(tmp_path / "bin", version)
    code, stdout, stderr = toolchain(tmp_path / "bin")
    assert (code, stdout) == (1, "")
    assert_one_sentence(stderr)
    add_go(tmp_path / "bin")
    code, stdout, _ = toolchain(tmp_path / "bin")
    assert code == 0
    made = Path(stdout.strip())
    assert made.is_relative_to(tmp_path / "cache" / "alma" / "toolchain")
    assert (made / "pulumi").exists()


def test_with_nothing_at_hand_one_sentence_says_what_to_install(
    toolchain: Run, tmp_path: Path
) -> None:
    code, stdout, stderr = toolchain(tmp_path)
    assert (code, stdout) == (1, "")
    assert_one_sentence(stderr)
    assert "install the Pulumi CLI" in stderr
    assert "Go" in stderr


def test_a_missing_plugin_is_named(toolchain: Run, tmp_path: Path) -> None:
    add_pulumi(tmp_path / "bin", plugins=False)
    code, stdout, stderr = toolchain(tmp_path / "bin")
    assert (code, stdout) == (1, "")
    assert_one_sentence(stderr)
    assert "pulumi-resource-pulumi-python" in stderr


def test_what_go_builds_is_complete_and_built_once(toolchain: Run, tmp_path: Path) -> None:
    calls = add_go(tmp_path / "bin")
    first = toolchain(tmp_path / "bin")
    assert first[0] == 0
    made = Path(first[1].strip())
    assert sorted(p.name for p in made.iterdir()) == PROGRAMS
    assert all(os.access(made / name, os.X_OK) for name in PROGRAMS)
    built = calls.read_text()
    assert "-mod=readonly" in built
    assert f"version.Version=v{pulumi_cli.CLI.version}" in built
    # The second time neither Go nor the network is asked; as a file it answers the same.
    (tmp_path / "bin" / "go").unlink()
    assert toolchain(tmp_path / "bin") == (0, first[1], "")
    script = str(ROOT / "tests" / "toolchain" / "__main__.py")
    assert toolchain(tmp_path / "bin", command=(script,)) == (0, first[1], "")


def test_the_one_version_that_is_wanted_is_pinned_by_go_and_built(
    toolchain: Run, tmp_path: Path
) -> None:
    add_pulumi(tmp_path / "bin", "v3.259.0")
    calls = add_go(tmp_path / "bin")
    code, stdout, _ = toolchain(tmp_path / "bin", wanted="3.272.0")
    assert code == 0
    made = Path(stdout.strip())
    assert made.name.startswith("pulumi-3.272.0-")
    assert sorted(p.name for p in made.iterdir()) == PROGRAMS
    assert "version.Version=v3.272.0" in calls.read_text()
    # Another entry than ours, which is as it was; on PATH only this very version is taken.
    assert toolchain(tmp_path / "bin") == (0, "\n", "")
    add_pulumi(tmp_path / "bin", "v3.272.0")
    for wanted in ("3.272.0", "newest"):
        assert toolchain(tmp_path / "bin", wanted=wanted) == (0, "\n", "")
    add_pulumi(tmp_path / "bin", ".".join(map(str, MINIMUM)))
    assert toolchain(tmp_path / "bin", wanted="oldest") == (0, "\n", "")


def test_the_oldest_is_the_first_that_alma_takes() -> None:
    """What is claimed, of the CLI and of the SDK, is what `nox -s oldest` runs."""
    assert pulumi_cli.MINIMUM == MINIMUM
    first = f"{MINIMUM[0]}.{MINIMUM[1]}"
    assert f"{first} or later" in (ROOT / "README.md").read_text()
    assert f'"pulumi>={first},<4"' in (ROOT / "pyproject.toml").read_text()


def test_a_version_that_there_is_not_is_told_in_a_sentence(toolchain: Run, tmp_path: Path) -> None:
    executable(tmp_path / "bin" / "go", "#!/bin/sh\nexit 1\n")
    for path in (tmp_path / "bin", tmp_path / "none"):
        for wanted in ("3.999.0", "newest"):
            code, stdout, stderr = toolchain(path, wanted=wanted)
            assert (code, stdout) == (1, "")
            assert_one_sentence(stderr)


def test_a_failed_build_names_its_log_and_can_be_tried_again(
    toolchain: Run, tmp_path: Path
) -> None:
    add_go(tmp_path / "bin", behaviour="sys.exit('no such module')")
    code, stdout, stderr = toolchain(tmp_path / "bin")
    assert (code, stdout) == (1, "")
    sentence = stderr.splitlines(keepends=True)[-1]
    assert_one_sentence(sentence)
    log = re.search(r"its output is in (\S+):", sentence)
    assert log is not None
    assert "output of go\nno such module\n" in Path(log[1]).read_text()
    entries = (tmp_path / "cache" / "alma" / "toolchain").iterdir()
    assert sorted(p.suffix for p in entries) == [".lock", ".log"]
    add_go(tmp_path / "bin")
    assert toolchain(tmp_path / "bin")[0] == 0


def test_two_runs_at_once_build_once(start: Start, tmp_path: Path) -> None:
    calls = add_go(tmp_path / "bin", behaviour="time.sleep(0.5)")
    both = [start(tmp_path / "bin") for _ in range(2)]
    outputs = {process.communicate(timeout=300)[0] for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert len(outputs) == 1
    verbs = [line.split()[1] for line in calls.read_text().splitlines()]
    assert sorted(verbs) == ["build", "build", "mod"]


def test_a_terminated_run_ends_its_build_and_leaves_nothing_half_made(
    start: Start, toolchain: Run, tmp_path: Path
) -> None:
    calls = add_go(tmp_path / "bin", behaviour="time.sleep(60)")
    process = start(tmp_path / "bin")
    until(lambda: calls.exists() and calls.read_text().endswith("\n"))
    process.terminate()
    process.communicate(timeout=300)
    assert process.returncode == 128 + signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(int(calls.read_text().split()[0]), 0)
    add_go(tmp_path / "bin")
    code, stdout, _ = toolchain(tmp_path / "bin")
    assert code == 0
    assert sorted(p.name for p in Path(stdout.strip()).iterdir()) == PROGRAMS


def test_the_cache_key_changes_with_each_pin(tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text("require (\n\texample.org/tool v1.2.3-rc.1 // indirect\n)\n")
    (tmp_path / "go.sum").write_text("one\n")
    pin = Pin("tool", tmp_path, "example.org/tool")
    first = pin.key
    assert first.startswith("tool-1.2.3-rc.1-")
    assert pin.key == first
    (tmp_path / "go.sum").write_text("two\n")
    second = pin.key
    (tmp_path / "go.mod").write_text("require (\n\texample.org/tool v1.2.3-rc.1\n)\n")
    assert len({first, second, pin.key}) == 3


def test_a_relative_cache_home_is_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.root() == tmp_path / ".cache" / "alma" / "toolchain"


@pytest.fixture
def fake_sdk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """The vendor can be reached, and the SDK in a new process installs what the fake does."""
    monkeypatch.setattr(pulumi_installer, "reachable", lambda: True)
    monkeypatch.delenv("ALMA_TOOLCHAIN_PULUMI", raising=False)  # `nox -s newest` asks for another
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "sdk"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    def write(behaviour: str) -> None:
        add_sdk(tmp_path / "sdk", behaviour)

    return write


def test_pulumis_own_installer_comes_before_a_build(
    fake_sdk: Callable[[str], None], tmp_path: Path
) -> None:
    fake_sdk("pass")
    calls = add_go(tmp_path / "bin")
    made = set(pulumi_cli.directories())
    assert len(made) == 1
    assert (made.pop() / "asked").read_text() == pulumi_cli.CLI.version
    assert not calls.exists()
    # What is installed is not installed again.
    fake_sdk("raise RuntimeError")
    assert len(set(pulumi_cli.directories())) == 1


@pytest.mark.parametrize(
    "behaviour", ["raise RuntimeError('broken')", "import time; time.sleep(60)"]
)
def test_an_installer_that_fails_or_hangs_gives_way_to_a_build(
    fake_sdk: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    behaviour: str,
) -> None:
    monkeypatch.setattr(pulumi_installer, "INSTALL_TIMEOUT", 1)
    fake_sdk(behaviour)
    add_go(tmp_path / "bin")
    (made,) = set(pulumi_cli.directories())
    assert sorted(p.name for p in made.iterdir()) == PROGRAMS
    log = re.search(r"installer failed; log: (\S+)", capsys.readouterr().err)
    assert log is not None
    assert re.search(r"broken|killed after 1 s", Path(log[1]).read_text())
