"""A Kubernetes control plane, etcd below it, and kwok, which plays the nodes."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.toolchain import debian, go_build
from tests.toolchain.go_build import Pin

HERE = Path(__file__).parent
CONTROL_PLANE = Pin("kubernetes", HERE / "kubernetes", "k8s.io/kubernetes")
PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
KWOK = Pin("kwok", HERE / "kwok", "sigs.k8s.io/kwok")
INSTALL = "install Go 1.25 or later"
ETCD = "install etcd (https://etcd.io/docs/latest/install/)"


def directories() -> list[Path]:
    """Return the directories that hold the programs of the control plane, etcd and kwok."""
    found = [shutil.which(name) for name in PROGRAMS]
    etcd, kwok = shutil.which("etcd"), shutil.which(KWOK.name)
    return [
        *(
            [Path(path).parent for path in found if path is not None]
            if None not in found
            else [go_build.directory(CONTROL_PLANE, _build, install=INSTALL)]
        ),
        Path(etcd).parent
        if etcd is not None
        else debian.directory("etcd", "etcd-server", install=ETCD, alone=True),
        Path(kwok).parent
        if kwok is not None
        else go_build.directory(KWOK, _build_kwok, install=INSTALL),
    ]


def _build(go: str, target: Path, log: Path) -> None:
    variable = "k8s.io/component-base/version.gitVersion"
    for name in PROGRAMS:
        package = f"{CONTROL_PLANE.module}/cmd/{name}"
        program = target.with_name(name)
        go_build.build(CONTROL_PLANE, package, variable, go=go, target=program, log=log)


def _build_kwok(go: str, target: Path, log: Path) -> None:
    variable = f"{KWOK.module}/pkg/consts.Version"
    go_build.build(KWOK, f"{KWOK.module}/cmd/kwok", variable, go=go, target=target, log=log)
