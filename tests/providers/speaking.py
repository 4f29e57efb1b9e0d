"""A stand-in's process for a test, spoken to as the engine speaks to it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from typing import Any

import grpc
from google.protobuf import struct_pb2
from pulumi.runtime.proto import provider_pb2_grpc

from tests.providers.plugin import ROOT


def started(arguments: Sequence[str], stack: ExitStack) -> tuple[subprocess.Popen[str], Any]:
    """Python with these arguments, which ends with `stack`, and a client for the plugin."""
    process = stack.enter_context(
        subprocess.Popen(
            [sys.executable, *arguments, "127.0.0.1:1"],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            text=True,
        )
    )
    stack.callback(process.kill)
    assert process.stdout is not None
    return process, client(int(process.stdout.readline()), stack)


def client(port: int, stack: ExitStack) -> Any:
    """A client for the plugin at this port."""
    channel = stack.enter_context(closing(grpc.insecure_channel(f"127.0.0.1:{port}")))
    return provider_pb2_grpc.ResourceProviderStub(channel)


def properties(values: Mapping[str, Any]) -> struct_pb2.Struct:
    """Plain values as the engine sends them."""
    struct = struct_pb2.Struct()
    struct.update(values)
    return struct
