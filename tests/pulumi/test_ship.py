"""Sending programs, telling what cannot be sent, and who imports pulumi."""

from __future__ import annotations

import functools
import gc
import importlib.util
import socket
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from alma.errors import DefinitionError
from alma.pulumi.programs import code_digest, serialize_program
from tests.pulumi import programs
from tests.pulumi.conftest import Place, environment, python
from tests.pulumi.test_digest import module_of

CONNECTED = socket.socket()
CONNECTED.close()


def _uses_global() -> None:
    CONNECTED.close()


def _calls_another() -> None:
    _uses_global()


def _captures() -> Callable[[], None]:
    wire = socket.socket()
    wire.close()

    def program() -> None:
        wire.close()

    return program


def _captures_deeply() -> Callable[[], None]:
    class Client:
        def __init__(self) -> None:
            self.connection = CONNECTED

    client = Client()

    def program() -> None:
        client.connection.close()

    return program


def _defaults(handle: Any = {"wire": CONNECTED}) -> None:  # noqa: B006 - the point
    handle.clear()


@pytest.mark.parametrize(
    ("program", "captured"),
    [
        (_captures(), '"wire" (a socket.socket)'),
        (functools.partial(lambda wire: wire, wire=CONNECTED), '"wire" (a socket.socket)'),
        (_uses_global, '"CONNECTED" (a socket.socket)'),
        (_calls_another, '"CONNECTED" (a socket.socket)'),
        (_defaults, '"handle" (a builtins.dict), which holds "[\'wire\']" (a socket.socket)'),
        (
            _captures_deeply(),
            (
                '"client" (a tests.pulumi.test_ship._captures_deeply.<locals>.Client), '
                'which holds "connection" (a socket.socket)'
            ),
        ),
    ],
)
def test_what_cannot_be_sent_is_named(program: Callable[..., Any], captured: str) -> None:
    """The object, what it is, the step, and the way out."""
    this = sys.modules[__name__]
    with pytest.raises(DefinitionError) as refused:
        serialize_program(program, step="database", by_value=[this])
    assert str(refused.value) == (
        f'The program of step "database" captures {captured}, which cannot be sent to '
        "a worker process. Create it inside the program, or in a module beside the saga's file "
        "and import it from there."
    )


def test_shipping_leaves_no_module_registered() -> None:
    """By value is for this one program."""
    import cloudpickle

    serialize_program(programs.one, by_value=[programs])
    assert cloudpickle.list_registry_pickle_by_value() == set()


class _Importing:
    """Garbage that imports when it is collected, as a finalizer may, and is there again then."""

    def __init__(self, imported: list[str]) -> None:
        self.imported = imported
        self.me = self  # A cycle, which only the collector ends.

    def __del__(self) -> None:
        if len(self.imported) < 10_000:
            self.imported.append(f"imported_by_garbage_{len(self.imported)}")
            sys.modules[self.imported[-1]] = types.ModuleType(self.imported[-1])
            _Importing(self.imported)


def test_modules_may_be_imported_while_a_program_is_sent() -> None:
    """By the collector, which Pythons before 3.12 run wherever something is made."""
    imported: list[str] = []
    thresholds = gc.get_threshold()
    _Importing(imported)
    gc.set_threshold(20)
    try:
        assert serialize_program(functools.partial(print, "sent"))
        with pytest.raises(DefinitionError, match="which cannot be sent"):
            serialize_program(_uses_global, by_value=[sys.modules[__name__]])
    finally:
        gc.set_threshold(*thresholds)
        for name in imported:
            sys.modules.pop(name, None)
    assert imported


def test_looking_imports_no_pulumi() -> None:
    """`status` and `history` must not pay half a second for it."""
    modules = ["local", "engine", "programs", "checkpoint", "cli", "recovery", "backend"]
    script = (
        "import sys\nimport alma.pulumi\n"
        + "".join(f"import alma.pulumi.{module}\n" for module in modules)
        + "print(sorted(m for m in sys.modules if m.split('.')[0] in ('pulumi', 'grpc')))"
    )
    answer = subprocess.run(
        python("-c", script), env=environment(), capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"


SCRIPT = """
import asyncio
import os
import pulumi
from pulumi.dynamic import CreateResult, Resource, ResourceProvider
from alma.pulumi.local import PulumiEngine
from alma.pulumi.engine import StackRef, UpRequest
from alma.core.operation import Operation
from alma.pulumi.programs import serialize_program

print("top level")

class Maker(ResourceProvider):
    def create(self, props):
        return CreateResult("made-" + PREFIX, props)

class Made(Resource):
    def __init__(self, name):
        super().__init__(Maker(), name, {})

PREFIX = "by-script"

def program():
    pulumi.export("id", Made("x").id)

async def main():
    engine = PulumiEngine()
    operation = Operation(id="op", interrupt=asyncio.Event())
    ref = StackRef(project="demo", stack="dev")
    logs = f"logs-{os.getpid()}"
    request = UpRequest(ref=ref, program=serialize_program(program), create=True, log_dir=logs)
    result = await engine.up(request, operation)
    print(result.failure, dict(result.outputs), dict(result.changes))
    await engine.close()

asyncio.run(main())
"""


def test_a_script_without_a_main_guard_runs_once(place: Place) -> None:
    """A second run of it in a new process finds nothing to do: its provider is written alike."""
    script = place.root / "saga.py"
    script.write_text(SCRIPT)
    said = [
        subprocess.run(
            python(str(script)),
            env=environment(),
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        ).stdout.splitlines()
        for _ in range(2)
    ]
    outputs = "{'id': 'made-by-script'}"
    assert said[0] == ["top level", f"None {outputs} {{'create': 2}}"]
    assert said[1] == ["top level", f"None {outputs} {{'same': 2}}"]


async def test_a_program_that_cannot_be_loaded_is_told(place: Place, tmp_path: Path) -> None:
    """A module that the worker does not find is named, before any CLI is started."""
    (tmp_path / "vanishing.py").write_text("def program():\n    pass\n")
    sys.path.insert(0, str(tmp_path))
    try:
        import vanishing  # type: ignore[import-not-found]

        shipped = serialize_program(vanishing.program)
    finally:
        sys.path.remove(str(tmp_path))
        sys.modules.pop("vanishing", None)
    request = place.request(None, create=True)
    result = await place.engine.up(
        type(request)(ref=request.ref, program=shipped, create=True, log_dir=request.log_dir),
        place.operation(),
    )
    assert result.failure is not None
    assert result.failure.kind == "program"
    assert "vanishing" in result.failure.message
    assert not any("init" in line for line in place.commands())


AT_THE_TOP = """
import logging

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s
from pulumi_aws import kendra

log = logging.getLogger("shop.infra")


def infra():
    log.info("at work")
    classes = [aws.fsx.Backup, kendra.Index, k8s.storage.v1.StorageClass]
    pulumi.export("classes", [kind.__name__ for kind in classes])
"""


async def test_sdks_imported_at_the_top_of_the_file(place: Place, tmp_path: Path) -> None:
    """Their modules are lazy: of a class of their own until something is read from them."""
    file = tmp_path / "at_the_top.py"
    file.write_text(AT_THE_TOP)
    spec = importlib.util.spec_from_file_location("at_the_top", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert type(module.kendra) is not types.ModuleType
    lazy = code_digest(module.infra)
    result = await place.up(module.infra)
    assert result.failure is None
    assert result.outputs["classes"] == ["Backup", "Index", "StorageClass"]
    assert type(module.kendra) is not types.ModuleType, "sending has loaded it"
    assert module.kendra.Index
    assert code_digest(module.infra) == lazy


CLIENTS = """
import socket

import boto3

s3 = boto3.client("s3", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")
session = boto3.Session(region_name="eu-west-1")
wire = socket.socket()
wire.close()
"""
GLOBALS = """
import importlib
import logging
import threading

import clients
from clients import s3

log = logging.getLogger("shop")
lock, again, stop = threading.Lock(), threading.RLock(), threading.Event()
mine = threading.local()
stop.set()


class Later:
    def __init__(self, name):
        self._name = name

    def __getattr__(self, name):
        return getattr(importlib.import_module(self._name), name)


decimals = Later("decimal")


class Held:
    def __init__(self):
        self.wire = clients.wire


held = Held()


def program():
    log.info("at work")
    with lock, again:
        mine.seen = stop.is_set()
    return [
        s3.meta.region_name,
        clients.session.region_name,
        str(decimals.Decimal("1.5")),
        mine.seen,
        held.wire is clients.wire,
    ]
"""


def test_what_an_ordinary_program_has_at_the_top_is_there_in_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clients of a module that can be imported come from there; locks are new; proxies stay so."""
    (tmp_path / "clients.py").write_text(CLIENTS)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setitem(sys.modules, "clients", importlib.import_module("clients"))
    module = module_of(GLOBALS)
    code_digest(module.program)
    shipped = tmp_path / "program"
    shipped.write_bytes(serialize_program(module.program))
    script = f"import pickle; print(pickle.load(open({str(shipped)!r}, 'rb'))())"
    told = subprocess.run(
        python("-W", "ignore", "-c", script),
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.stdout.strip() == "['eu-west-1', 'eu-west-1', '1.5', True, True]", told.stderr


def test_a_client_of_the_sagas_own_file_is_named() -> None:
    """That file is loaded in no other process, so there is nowhere to have it from."""
    module = module_of(CLIENTS + "\ndef program():\n    s3.list_buckets()\n")
    with pytest.raises(DefinitionError, match=r'captures "s3" \(a botocore.client.S3\)'):
        serialize_program(module.program, step="a")
