from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.test_toolchain import ROOT, assert_one_sentence
from tests.toolchain import docker, docker_plugin, kubernetes, kubernetes_plugin, localstack
from tests.toolchain.fakes import add_apt, add_go, add_uv, executable

Run = Callable[[str], tuple[int, str, str]]
KUBERNETES = (*kubernetes.PROGRAMS, "etcd", "kwok")


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """All that PATH has."""
    directory = tmp_path / "bin"
    directory.mkdir()
    return directory


@pytest.fixture
def toolchain(programs: Path, tmp_path: Path) -> Run:
    """Ask the toolchain for a part: exit code, stdout, stderr."""

    def run(part: str) -> tuple[int, str, str]:
        environment = {
            "PATH": str(programs),
            "HOME": str(tmp_path),
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
            # No package index is asked: what is not a fake fails.
            "PIP_INDEX_URL": "http://127.0.0.1:9/",
            "PIP_RETRIES": "0",
            "PIP_NO_CACHE_DIR": "1",
        }
        done = subprocess.run(
            [sys.executable, "-m", "tests.toolchain", part],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    return run


def output_of(program: Path, *arguments: str) -> str:
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("part", "names"),
    [
        ("localstack", [localstack.PROGRAM]),
        ("docker", ["dockerd", "busybox"]),
        ("kubernetes", KUBERNETES),
        ("kubernetes-plugin", [kubernetes_plugin.PIN.name]),
        ("docker-plugin", [docker_plugin.PIN.name]),
        ("tofu", ["terraform"]),
        ("tofu", ["tofu"]),
        ("terragrunt", ["terragrunt"]),
        ("chromium", ["chromium"]),
        ("chromium", ["google-chrome"]),
    ],
)
def test_what_is_on_path_is_taken(
    toolchain: Run, programs: Path, tmp_path: Path, part: str, names: list[str]
) -> None:
    for name in names:
        executable(programs / name, "#!/bin/sh\n")
    assert toolchain(part) == (0, "\n", "")
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("part", "missing"),
    [
        ("localstack", "Python package index"),
        ("docker", "install Docker Engine"),
        ("kubernetes", "install Go"),
        ("kubernetes-plugin", "pulumi plugin install resource kubernetes"),
        ("docker-plugin", "pulumi plugin install resource docker"),
        ("tofu", "install Terraform or OpenTofu"),
        ("terragrunt", "install Terragrunt"),
        ("chromium", "install Chromium"),
    ],
)
def test_with_nothing_at_hand_one_sentence_says_what_to_install(
    toolchain: Run, part: str, missing: str
) -> None:
    code, stdout, stderr = toolchain(part)
    assert (code, stdout) == (1, "")
    sentence = stderr.splitlines(keepends=True)[-1]
    assert_one_sentence(sentence)
    assert missing in sentence


def test_localstack_is_resolved_as_of_its_own_day_and_installed_once(
    toolchain: Run, programs: Path
) -> None:
    add_uv(programs)
    first = toolchain("localstack")
    assert first[0] == 0
    program = Path(first[1].strip(), localstack.PROGRAM)
    # By the Python that was made for it, wherever the cache is.
    assert output_of(program, "-x") == "-P -m localstack.runtime.main -x\n"
    installed = (program.parents[2] / f"{program.parents[1].name}.log").read_text()
    assert f"--exclude-newer 2025-10-20 localstack-core[runtime]=={localstack.VERSION}" in installed
    (programs / "uv").unlink()
    assert toolchain("localstack") == (0, first[1], "")


def test_a_failed_installation_names_its_log_and_can_be_tried_again(
    toolchain: Run, programs: Path
) -> None:
    add_uv(programs, behaviour="sys.exit('no such version')")
    code, stdout, stderr = toolchain("localstack")
    assert (code, stdout) == (1, "")
    sentence = stderr.splitlines(keepends=True)[-1]
    assert_one_sentence(sentence)
    log = sentence.partition("its output is in ")[2].partition(": ")[0]
    assert "no such version" in Path(log).read_text()
    add_uv(programs)
    assert toolchain("localstack")[0] == 0


def test_a_program_of_a_package_runs_from_the_cache(toolchain: Run, programs: Path) -> None:
    executable(programs / "busybox", "#!/bin/sh\n")
    add_apt(programs, "usr/sbin/dockerd")
    code, stdout, _ = toolchain("docker")
    assert code == 0
    directory = Path(stdout.strip())
    assert output_of(directory / "dockerd", "--debug") == "usr/sbin/dockerd --debug\n"
    assert not (directory.parent / "apt").exists()


def test_the_browser_is_the_program_itself_and_has_a_font(toolchain: Run, programs: Path) -> None:
    font = "usr/share/fonts/truetype/any.ttf"
    add_apt(programs, "usr/bin/chromium", "usr/lib/chromium/chromium", font)
    code, stdout, _ = toolchain("chromium")
    assert code == 0
    browser = Path(stdout.strip(), "chromium")
    assert output_of(browser, "--headless") == "usr/lib/chromium/chromium --headless\n"
    assert (
        '<dir prefix="relative">root/usr/share/fonts<'
        in (browser.parents[1] / "fonts.conf").read_text()
    )
    (programs / "apt-get").unlink()
    assert toolchain("chromium") == (0, stdout, "")


def test_a_package_without_the_program_is_a_failure(toolchain: Run, programs: Path) -> None:
    executable(programs / "busybox", "#!/bin/sh\n")
    add_apt(programs, "usr/sbin/another")
    code, stdout, stderr = toolchain("docker")
    assert (code, stdout) == (1, "")
    assert "Fetching dockerd by apt-get failed" in stderr


def test_a_dynamically_linked_busybox_is_no_image(programs: Path) -> None:
    executable(programs / "busybox", "\x7fELF ... /lib64/ld-linux-x86-64.so.2")
    assert not docker.static(str(programs / "busybox"))


def test_the_control_plane_is_built_in_one_place(toolchain: Run, programs: Path) -> None:
    calls = add_go(programs)
    add_apt(programs, "usr/bin/etcd")
    code, stdout, _ = toolchain("kubernetes")
    assert code == 0
    places = [Path(place) for place in stdout.strip().split(os.pathsep)]
    found = [sorted(p.name for p in place.iterdir()) for place in places]
    assert found == [sorted(kubernetes.PROGRAMS), ["etcd"], ["kwok"]]
    assert "version.gitVersion=v1.31.4" in calls.read_text()
    assert output_of(places[1] / "etcd", "-x") == "usr/bin/etcd -x\n"


def test_the_plugin_for_kubernetes_is_built_where_pulumi_has_none(
    toolchain: Run, programs: Path, tmp_path: Path
) -> None:
    calls = add_go(programs)
    code, stdout, _ = toolchain("kubernetes-plugin")
    assert code == 0
    assert [p.name for p in Path(stdout.strip()).iterdir()] == ["pulumi-resource-kubernetes"]
    assert "main.version=4.34.2" in calls.read_text()
    (tmp_path / ".pulumi/plugins/resource-kubernetes-v4.34.2").mkdir(parents=True)
    assert toolchain("kubernetes-plugin") == (0, "\n", "")


def test_opentofu_is_built_where_no_terraform_is(toolchain: Run, programs: Path) -> None:
    add_go(programs)
    code, stdout, _ = toolchain("tofu")
    assert code == 0
    assert [p.name for p in Path(stdout.strip()).iterdir()] == ["tofu"]


def test_terragrunt_is_built_with_the_version_that_it_says(toolchain: Run, programs: Path) -> None:
    calls = add_go(programs)
    code, stdout, _ = toolchain("terragrunt")
    assert code == 0
    assert [p.name for p in Path(stdout.strip()).iterdir()] == ["terragrunt"]
    built = calls.read_text()
    assert "go-commons/version.Version=v0.55.0" in built
    assert built.endswith(" github.com/gruntwork-io/terragrunt\n")


def test_the_plugin_for_docker_is_built_where_pulumi_has_none(
    toolchain: Run, programs: Path, tmp_path: Path
) -> None:
    calls = add_go(programs)
    code, stdout, _ = toolchain("docker-plugin")
    assert code == 0
    assert [p.name for p in Path(stdout.strip()).iterdir()] == ["pulumi-resource-docker"]
    assert "main.version=5.2.0" in calls.read_text()
    (tmp_path / ".pulumi/plugins/resource-docker-v5.2.0").mkdir(parents=True)
    assert toolchain("docker-plugin") == (0, "\n", "")
