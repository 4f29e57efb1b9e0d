"""Private parts of the libraries, each named here and used in one file; and what they mend."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pulumi import automation

import alma
from alma.pulumi.automation import stack
from tests.pulumi.conftest import environment, python

PRIVATE = {
    "pulumi.runtime._grpc_settings",  # options that no argument of the SDK's reaches
    "pulumi.runtime._grpc_settings._GRPC_CHANNEL_OPTIONS",
    "pickle._Pickler",  # what `pulumi.dynamic` patches, and does not restore
    "_batch_setitems",
    "_DYNAMIC_CLASS_TRACKER_BY_ID",  # cloudpickle's memory of classes it has loaded
    "_DYNAMIC_CLASS_TRACKER_BY_CLASS",
}
"""Every private part of a library that alma touches, all in `sdk_faults.py`."""
DOCUMENTED = {"os._exit", "sys._getframe"}
"""Public but for their names."""
HOME = Path("pulumi") / "automation" / "sdk_faults.py"
ALMA = Path(alma.__file__).parent


def _is_private(dotted: str) -> bool:
    return any(re.match(r"_(?!_)", part) for part in dotted.split("."))


def _imported(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """The names that a file gives to what is not alma's, and what they are."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((one.asname or one.name.split(".")[0], one.name) for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module), str(node.module)
            yield from ((one.asname or one.name, f"{node.module}.{one.name}") for one in node.names)


def _private_parts(path: Path) -> Iterator[str]:
    """What a file imports of others that is private, or takes from what it has imported."""
    tree = ast.parse(path.read_text())
    imported = {local: name for local, name in _imported(tree) if not name.startswith("alma.")}
    yield from filter(_is_private, imported.values())
    by_name = path.is_relative_to(ALMA / "pulumi" / "automation")
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name, value=root) if _is_private(name):
                while isinstance(root, ast.Attribute):
                    root = root.value
                if isinstance(root, ast.Name) and root.id in imported:
                    yield f"{imported[root.id]}.{name}"
            case ast.Constant(value=str(text)) if by_name and re.fullmatch(
                r"_[A-Za-z][A-Za-z_]*", text
            ):
                yield text  # As `vars(module)["_x"]` or `getattr` would have it.


def test_private_parts_of_libraries_are_named_and_in_one_file() -> None:
    found = {
        (path.relative_to(ALMA), name)
        for path in ALMA.rglob("*.py")
        for name in _private_parts(path)
    }
    assert {one for one in found if one[1] not in DOCUMENTED} == {(HOME, part) for part in PRIVATE}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (stack.Command, automation.PulumiCommand),
        (stack.Workspace, automation.LocalWorkspace),
        (stack.Stack, automation.Stack),
    ],
    ids=lambda kind: kind.__module__,
)
def test_subclasses_neither_use_nor_replace_what_the_sdk_keeps_private(
    ours: type, theirs: type
) -> None:
    assert issubclass(ours, theirs)
    name = re.compile(r"\b(?:self\.|def )(_(?!_)\w+)")
    own = set(name.findall(inspect.getsource(ours)))
    kept = {name for kind in theirs.__mro__[:-1] for name in vars(kind)}
    kept |= set(name.findall(inspect.getsource(theirs)))
    assert not own & kept


TWO_ENGINES_AT_ONE_PORT = """
from concurrent import futures

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import resource_pb2_grpc
from pulumi.runtime.settings import Settings

import alma.pulumi.automation.host


class Monitor(resource_pb2_grpc.ResourceMonitorServicer):
    def SignalAndWaitForShutdown(self, request, context):
        return empty_pb2.Empty()


def engine(port):
    server = grpc.server(futures.ThreadPoolExecutor(1))
    resource_pb2_grpc.add_ResourceMonitorServicer_to_server(Monitor(), server)
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    return server, port


def connect(port):
    return Settings("demo", "dev", monitor=f"127.0.0.1:{port}").monitor


def say(monitor):
    try:
        monitor.SignalAndWaitForShutdown(empty_pb2.Empty())
    except grpc.RpcError as error:
        return error.code().name
    return "heard"


first, port = engine(0)
old = connect(port)
print(say(old))
first.stop(None).wait()
print(say(old))
second, _ = engine(port)
print(say(connect(port)))
"""


def test_an_engine_at_the_port_of_one_that_has_ended_is_reached() -> None:
    """The SDK would take it for the old one, and its program would fail before it has begun."""
    ran = subprocess.run(
        python("-c", TWO_ENGINES_AT_ONE_PORT),
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert ran.stdout.split() == ["heard", "UNAVAILABLE", "heard"]
