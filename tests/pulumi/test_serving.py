"""What a worker keeps of an operation does not reach into the next one."""

from __future__ import annotations

import subprocess

from tests.pulumi.conftest import environment, python

TWO_ENGINES_AT_ONE_PORT = """
from concurrent import futures

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import resource_pb2_grpc
from pulumi.runtime.settings import Settings

import alma.pulumi.automation.serving


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
        timeout=60,
        check=True,
    )
    assert ran.stdout.split() == ["heard", "UNAVAILABLE", "heard"]
