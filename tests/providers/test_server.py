"""A stand-in's process, spoken to as the engine speaks to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from google.protobuf import empty_pb2, json_format
from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto import status_pb2
from pulumi.runtime.rpc import _special_secret_sig, _special_sig_key

from tests.providers.plugin import ROOT
from tests.providers.speaking import client, properties, started
from tests.waiting import until

URN = "urn:pulumi:dev::shop::cloud:index:Group$cloud:index:Box::crate"

# The SDK whose version it reports must be installed; which one it is does not matter here.
PROVIDER = """
import time
from pathlib import Path
from tests.providers.base import Kind, Made, PartlyMadeError, StandIn, serve, table

class Box(Kind):
    token = "cloud:index:Box"
    inputs = frozenset({"wait", "key", "broken"})
    outputs = frozenset({"size", "key"})
    secret = frozenset({"key"})

    def create(self, api, inputs):
        if "broken" in inputs:
            raise PartlyMadeError("id-1", {"size": 1}, "the lid does not close")
        if "wait" in inputs:
            (Path(inputs["wait"]) / "begun").touch()
            while not (Path(inputs["wait"]) / "go").exists():
                time.sleep(0.02)
            (Path(inputs["wait"]) / "done").touch()
        return Made("id-2", {"size": 2, "key": inputs.get("key", "made")})

class Cloud(StandIn):
    name = "aws"
    kinds = table(Box())
    def connect(self, config): return None
    def explain(self, error): return None

serve(Cloud())
"""


@pytest.fixture
def plugin(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Any]]:
    script = tmp_path / "provider.py"
    script.write_text(PROVIDER)
    with ExitStack() as stack:
        yield started([str(script)], stack)


def create(stub: Any, preview: bool = False, **values: Any) -> Any:
    given = properties(values)
    return stub.Create(pb.CreateRequest(urn=URN, properties=given, preview=preview))


def refuses(stub: Any) -> bool:
    """Whether it takes no more calls."""
    try:
        # One that comes in the moment of the stop may get no answer at all.
        stub.GetPluginInfo(empty_pb2.Empty(), timeout=5)
    except grpc.RpcError:
        return True
    return False


def test_previews_secrets_and_errors_as_the_engine_gets_them(plugin: Any) -> None:
    _process, stub = plugin
    foreseen = json_format.MessageToDict(create(stub, preview=True).properties)
    assert foreseen["size"] == "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
    made = create(stub)
    assert made.id == "id-2"
    told = json_format.MessageToDict(made.properties)
    assert told == {"size": 2.0, "key": {_special_sig_key: _special_secret_sig, "value": "made"}}

    with pytest.raises(grpc.RpcError) as partly:
        create(stub, broken=True)
    assert partly.value.details() == 'creating cloud:index:Box "crate": the lid does not close'
    (detail,) = (v for k, v in partly.value.trailing_metadata() if k == "grpc-status-details-bin")
    status = status_pb2.Status.FromString(detail)
    failed = pb.ErrorResourceInitFailed()
    status.details[0].Unpack(failed)
    assert (failed.id, dict(failed.properties)) == ("id-1", {"broken": True, "size": 1.0})

    other = pb.CheckRequest(urn="urn:pulumi:dev::shop::cloud:index:Hat::top")
    with pytest.raises(grpc.RpcError) as unknown:
        stub.Check(other)
    has = "the stand-in for aws has no cloud:index:Hat; it has: cloud:index:Box"
    assert unknown.value.details() == has
    news = properties({"colour": "red"})
    (failure,) = stub.Check(pb.CheckRequest(urn=URN, news=news)).failures
    assert failure.property == "colour"


def test_a_create_under_way_is_finished_before_the_end(plugin: Any, tmp_path: Path) -> None:
    process, stub = plugin
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(create, stub, wait=str(tmp_path))
        until((tmp_path / "begun").exists)
        process.send_signal(signal.SIGINT)
        until(lambda: refuses(stub))
        assert process.poll() is None
        (tmp_path / "go").touch()
        assert answer.result(timeout=300).id == "id-2"
    assert process.wait(timeout=300) == 0


def test_it_ends_when_the_engine_is_gone_and_finishes_what_it_was_doing(tmp_path: Path) -> None:
    (tmp_path / "provider.py").write_text(PROVIDER)
    engine = tmp_path / "engine.py"
    engine.write_text(
        "import subprocess, sys, time\n"
        "plugin = subprocess.Popen([sys.executable, sys.argv[1], '127.0.0.1:1'],"
        " stdout=subprocess.PIPE, text=True, start_new_session=True)\n"
        "print(plugin.pid, plugin.stdout.readline().strip(), flush=True)\n"
        "time.sleep(600)\n"
    )
    with ExitStack() as stack:
        parent = stack.enter_context(
            subprocess.Popen(
                [sys.executable, str(engine), str(tmp_path / "provider.py")],
                stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                text=True,
            )
        )
        stack.callback(parent.kill)
        assert parent.stdout is not None
        pid, port = map(int, parent.stdout.readline().split())
        orphan = psutil.Process(pid)
        stack.callback(lambda: orphan.is_running() and orphan.kill())
        stub = client(port, stack)
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(create, stub, wait=str(tmp_path))
            until((tmp_path / "begun").exists)
            parent.kill()
            (tmp_path / "go").touch()
            answer.result(timeout=300)
        until(lambda: not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE)
    assert (tmp_path / "done").exists()
