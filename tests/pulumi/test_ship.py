"""Sending programs, telling what cannot be sent, digests, and who imports pulumi."""

from __future__ import annotations

import functools
import importlib.util
import subprocess
import sys
import threading
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from alma.errors import DefinitionError
from alma.pulumi.programs import code_digest, serialize_program
from tests.pulumi import programs
from tests.pulumi.conftest import Place, environment, python

# The passphrase is not what these show.
pytestmark = pytest.mark.usefixtures("keys_in_vault")

GUARDED = threading.Lock()


def _uses_global() -> None:
    with GUARDED:
        pass


def _calls_another() -> None:
    _uses_global()


def _captures() -> Callable[[], None]:
    lock = threading.Lock()

    def program() -> None:
        lock.acquire()

    return program


def _captures_deeply() -> Callable[[], None]:
    class Client:
        def __init__(self) -> None:
            self.connection = threading.RLock()

    client = Client()

    def program() -> None:
        client.connection.acquire()

    return program


def _defaults(handle: Any = threading.Event()) -> None:  # noqa: B008 - the point
    handle.set()


@pytest.mark.parametrize(
    ("program", "captured"),
    [
        (_captures(), '"lock" (a _thread.lock)'),
        (functools.partial(lambda lock: lock, lock=threading.Lock()), '"lock" (a _thread.lock)'),
        (_uses_global, '"GUARDED" (a _thread.lock)'),
        (_calls_another, '"GUARDED" (a _thread.lock)'),
        (_defaults, '"handle" (a threading.Event), which holds "_lock" (a _thread.lock)'),
        (
            _captures_deeply(),
            (
                '"client" (a tests.pulumi.test_ship._captures_deeply.<locals>.Client), '
                'which holds "connection" (a _thread.RLock)'
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
        "a worker process. Create it inside the program."
    )


def test_shipping_leaves_no_module_registered() -> None:
    """By value is for this one program."""
    import cloudpickle

    serialize_program(programs.one, by_value=[programs])
    assert cloudpickle.list_registry_pickle_by_value() == set()


def _module(source: str, name: str = "user") -> types.ModuleType:
    module = types.ModuleType(name)
    exec(compile(source, f"/somewhere/{name}.py", "exec"), vars(module))  # noqa: S102
    return module


BASE = """
SIZE = 3
def helper(x):
    return {"b", "a", x}
class Kind:
    limit = 1
    def run(self):
        return helper(SIZE)
def program(n=1):
    def inner():
        return Kind().run(), n in {1, 2, "x", "y"}
    return inner
"""


def test_a_digest_ignores_where_the_code_stands() -> None:
    """Lines, files and the order of sets are no change."""
    same = _module("\n\n# a comment\n" + BASE.replace("    limit", "\n    limit"))
    assert code_digest(_module(BASE).program) == code_digest(same.program)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SIZE = 3", "SIZE = 4"),
        ('"b", "a", x', '"b", "c", x'),
        ("limit = 1", "limit = 2"),
        ("n=1", "n=2"),
        ("helper(SIZE)", "helper(SIZE + 1)"),
        ("Kind().run()", "Kind().limit"),
        ('2, "x"', '3, "x"'),
    ],
)
def test_a_digest_sees_every_edit(old: str, new: str) -> None:
    """In the function, and in what it uses of its module."""
    assert code_digest(_module(BASE).program) != code_digest(
        _module(BASE.replace(old, new)).program
    )


def test_a_digest_sees_captured_values() -> None:
    """Plain data counts; other objects by their type."""
    assert code_digest(programs.many(3)) == code_digest(programs.many(3))
    assert code_digest(programs.many(3)) != code_digest(programs.many(4))
    partial = functools.partial(programs.waits, "a")
    assert code_digest(partial) != code_digest(functools.partial(programs.waits, "b"))


def test_a_digest_is_the_same_in_another_process() -> None:
    """With another hash seed."""
    script = (
        "from tests.pulumi import test_ship\n"
        "print(test_ship.code_digest(test_ship._module(test_ship.BASE).program))"
    )
    digests = {
        subprocess.run(
            python("-c", script),
            env={**environment(), "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert digests == {code_digest(_module(BASE).program)}


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
    request = UpRequest(ref=ref, program=serialize_program(program), create=True, log_dir="logs")
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
            timeout=60,
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
