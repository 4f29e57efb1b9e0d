"""The Pulumi CLI and two programs that an ordinary install has beside it.

Each is taken from the first place that has it: PATH, Pulumi's own installer, Go modules.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import partial
from pathlib import Path

from tests.toolchain import cache, go_build, pulumi_installer
from tests.toolchain.go_build import Pin
from tests.toolchain.process import FailedError, UnavailableError, run

HERE = Path(__file__).parent
SDK = "github.com/pulumi/pulumi/sdk/v3"
CLI = Pin("pulumi", HERE / "pulumi", "github.com/pulumi/pulumi/pkg/v3", also=(HERE / "yaml",))
PROVIDER = Pin("pulumi-resource-pulumi-python", HERE / "pulumi", SDK)
YAML_HOST = Pin("pulumi-language-yaml", HERE / "yaml", "github.com/pulumi/pulumi-yaml")

MINIMUM = (3, 259, 0)
WANTED = "ALMA_TOOLCHAIN_PULUMI"
"""A variable: the one version of the CLI that is to be had in place of go.mod's; also `newest`, and
`oldest` for the first that alma claims."""
INSTALL = "install the Pulumi CLI (https://www.pulumi.com/docs/install/) or Go 1.25 or later"


def directories() -> list[Path]:
    """Return the directories that hold the CLI, the dynamic provider and the YAML host."""
    wanted = os.environ.get(WANTED, "")
    if wanted in ASKED:
        wanted = ASKED[wanted]()
    cli = on_path(wanted) or made(wanted)
    # Pulumi itself looks for its plugins on PATH and then beside the CLI, links resolved.
    beside = (cli / CLI.name).resolve().parent
    found = [cli]
    for pin, fill in ((PROVIDER, partial(_copy_provider, PROVIDER)), (YAML_HOST, _build_yaml_host)):
        if (path := shutil.which(pin.name)) is not None:
            found.append(Path(path).parent)
        elif os.access(beside / pin.name, os.X_OK):
            found.append(beside)
        else:
            found.append(go_build.directory(pin, fill, install=INSTALL))
    return found


def on_path(wanted: str = "") -> Path | None:
    """Return the directory of PATH whose CLI would run, if its version fits, or is the wanted."""
    command = shutil.which(CLI.name)
    if command is None:
        return None
    version = version_of(Path(command))
    fits = version is not None and version[0] == MINIMUM[0] and version >= MINIMUM
    if wanted:
        fits = version == tuple(map(int, wanted.split(".")))
    return Path(command).parent if fits else None


def version_of(command: Path) -> tuple[int, int, int] | None:
    """Ask a CLI its version; None when it does not say."""
    environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "1"}
    try:
        answer = subprocess.run(
            [command, "version"],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.match(r"v?(\d+)\.(\d+)\.(\d+)", answer)
    return None if match is None else (int(match[1]), int(match[2]), int(match[3]))


def made(wanted: str = "") -> Path:
    """Return the directory of a CLI from the cache, put there if need be."""
    if wanted not in ("", CLI.version):
        return pulumi_installer.directory(wanted) or _built(_pinned(wanted))
    # What was built is looked for before the vendor is asked: a warm run needs no network.
    return cache.existing(CLI.key) or pulumi_installer.directory(CLI.version) or _built(CLI)


def _built(cli: Pin) -> Path:
    return go_build.directory(cli, partial(_build_cli, cli), install=INSTALL)


def _newest() -> str:
    """Ask Go for the newest version of the CLI."""
    go, log = shutil.which("go"), cache.root() / "pulumi-newest.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    command = ["list", "-m", "-f", "{{.Version}}", f"{CLI.module}@latest"]
    try:
        if go is not None:
            answer = run([go, *command], log=log, timeout=60, cwd=CLI.directory)
            return answer.strip().removeprefix("v")
    except FailedError:
        pass
    raise UnavailableError(f"Go is needed to ask which Pulumi is the newest, see {log}: {INSTALL}.")


def _oldest() -> str:
    """Return the first version that alma claims to work with."""
    return ".".join(map(str, MINIMUM))


ASKED = {"newest": _newest, "oldest": _oldest}


def _pinned(version: str) -> Pin:
    """Our go.mod at another version of Pulumi, made by Go: its checksum database vouches for it."""
    required = (f"-require={CLI.module}@v{version}", f"-require={SDK}@v{version}")

    def make(part: Path, log: Path) -> None:
        go = shutil.which("go")
        if go is None:
            raise UnavailableError(f"Pulumi {version} can be pinned by Go only: {INSTALL}.")
        for name in ("go.mod", "go.sum"):
            shutil.copyfile(CLI.directory / name, part / name)
        # `go get` would take the package for a module first, which not every proxy denies well.
        run([go, "mod", "edit", *required], log=log, timeout=go_build.TIMEOUT, cwd=part)
        packages = [go, "list", "-mod=mod", "-deps", f"{CLI.module}/cmd/pulumi"]
        run(packages, log=log, timeout=go_build.TIMEOUT, cwd=part)

    key = cache.key("pulumi-pin", version, CLI.directory / "go.mod", CLI.directory / "go.sum")
    try:
        return CLI._replace(directory=cache.entry(key, make))
    except FailedError:
        log = cache.log_of(key)
        raise UnavailableError(
            f"Go cannot pin Pulumi {version}, its output is in {log}: {INSTALL}."
        ) from None


def _build_cli(cli: Pin, go: str, target: Path, log: Path) -> None:
    # Without a version in it the Automation API refuses the CLI.
    variable = f"{SDK}/go/common/version.Version"
    go_build.build(cli, f"{cli.module}/cmd/pulumi", variable, go=go, target=target, log=log)
    # In one directory, as in an ordinary install: the CLI warns of plugins from elsewhere on PATH.
    provider = PROVIDER._replace(directory=cli.directory)
    _copy_provider(provider, go, target.with_name(PROVIDER.name), log)
    _build_yaml_host(go, target.with_name(YAML_HOST.name), log)


def _build_yaml_host(go: str, target: Path, log: Path) -> None:
    package = f"{YAML_HOST.module}/cmd/pulumi-language-yaml"
    variable = f"{YAML_HOST.module}/pkg/version.Version"
    go_build.build(YAML_HOST, package, variable, go=go, target=target, log=log)


def _copy_provider(provider: Pin, go: str, target: Path, log: Path) -> None:
    source = go_build.source(provider, go=go, log=log) / "python" / "dist" / PROVIDER.name
    shutil.copyfile(source, target)
    # A Go module keeps no run bits.
    target.chmod(0o755)
