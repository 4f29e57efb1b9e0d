"""Creates whose answer cannot be taken, or is a gateway's: never taken for a refusal.

Each place that raises after a provider was called is listed here: the SDK's server of dynamic
providers is asked itself, for all that a `create` may return; what the engine and gRPC say is from
their sources. `test_doubtful_answers` takes a handful of each through the real engine.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import decimal
import enum
import importlib.util
import pathlib
import sys
import types
import uuid
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.struct_pb2 import Struct
from pulumi import Output
from pulumi.dynamic import CreateResult
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from alma.core.events import IN_DOUBT, UNANSWERED, UNREADABLE
from alma.pulumi.doubts import doubt_of

# -- what a dynamic provider's `create` may return, through the SDK's own server ------------------


class Colour(enum.Enum):
    """No text."""

    RED = 1


class Odd:
    """Nothing that a property can be."""


def cycle() -> dict[str, Any]:
    """Contains itself."""
    found: dict[str, Any] = {}
    found["self"] = found
    return found


async def create_later() -> None:
    """What somebody may write who takes `create` for a coroutine function."""


def later() -> Any:
    """What it returns to somebody who does not await it; closed, so that nobody is warned."""
    coroutine = create_later()
    coroutine.close()
    return coroutine


def result(value: Any) -> CreateResult:
    """An output that holds it."""
    return CreateResult("id-1", {"value": value})


def raising() -> Any:
    """The provider's own refusal."""
    raise RuntimeError("quota exceeded")


RETURNED: dict[str, Callable[[], Any]] = {
    "nothing": lambda: None,
    "a dict": lambda: {"id": "x"},
    "a text": lambda: "id-1",
    "a tuple": lambda: ("id-1", {}),
    "a number": lambda: 5,
    "a coroutine": later,
    "outs a list": lambda: CreateResult("id-1", [1]),  # type: ignore[arg-type]
    "outs a tuple": lambda: CreateResult("id-1", (1,)),  # type: ignore[arg-type]
    "outs a text": lambda: CreateResult("id-1", "x"),  # type: ignore[arg-type]
    "outs a set": lambda: CreateResult("id-1", {1}),  # type: ignore[arg-type]
    "outs an object": lambda: CreateResult("id-1", Odd()),  # type: ignore[arg-type]
    "outs read-only": lambda: CreateResult("id-1", types.MappingProxyType({})),  # type: ignore[arg-type]
    "half a surrogate pair": lambda: result("\udcff"),
    "half a surrogate pair as a key": lambda: CreateResult("id-1", {"\udcff": 1}),
    "half a surrogate pair as the id": lambda: CreateResult("\udcff", {}),
    "a datetime": lambda: result(dt.datetime.now(dt.UTC)),
    "a date": lambda: result(dt.date(2026, 1, 1)),
    "a set": lambda: result({1}),
    "a Decimal": lambda: result(decimal.Decimal(1)),
    "bytes": lambda: result(b"x"),
    "a bytearray": lambda: result(bytearray(b"x")),
    "a UUID": lambda: result(uuid.uuid4()),
    "a Path": lambda: result(pathlib.Path("x")),
    "an Enum": lambda: result(Colour.RED),
    "an object": lambda: result(Odd()),
    "a class": lambda: result(Odd),
    "a function": lambda: result(result),
    "a generator": lambda: result(one for one in [1]),
    "a complex number": lambda: result(1j),
    "an exception": lambda: result(ValueError("x")),
    "a module": lambda: result(sys),
    "deep inside": lambda: result([{"x": [decimal.Decimal(1)]}]),
    "a cycle": lambda: result(cycle()),
    "a number as a key": lambda: CreateResult("id-1", {1: "x"}),  # type: ignore[dict-item]
    "None as a key": lambda: CreateResult("id-1", {None: "x"}),  # type: ignore[dict-item]
    "a number as an inner key": lambda: result({1: "x"}),
    "a tuple as an inner key": lambda: result({(1,): "x"}),
    "an integer of 400 digits": lambda: result(10**400),
    "an Output": lambda: result(Output.from_input(1)),
    "an id that is a number": lambda: CreateResult(5, {}),  # type: ignore[arg-type]
    "an id that is a UUID": lambda: CreateResult(uuid.uuid4(), {}),  # type: ignore[arg-type]
    "an id that is a Path": lambda: CreateResult(pathlib.Path("x"), {}),  # type: ignore[arg-type]
    "an id of bytes that are no text": lambda: CreateResult(b"\xff", {}),  # type: ignore[arg-type]
}


@pytest.fixture(scope="module")
def create() -> Iterator[Callable[[Callable[[], Any]], grpc.RpcError | Any]]:
    """Have the SDK's server call a `create` that returns so: the answer, or the error."""
    spec = importlib.util.find_spec("pulumi.dynamic.__main__")
    assert spec is not None
    assert spec.origin is not None
    source = Path(spec.origin).read_text().removesuffix("\nmain()\n")
    served = types.ModuleType("served")
    exec(compile(source, spec.origin, "exec"), served.__dict__)  # noqa: S102 - it serves at once
    # It closes its event loop only where the answer could be made.
    loops: list[asyncio.AbstractEventLoop] = []

    def new_event_loop() -> asyncio.AbstractEventLoop:
        loops.append(asyncio.new_event_loop())
        return loops[-1]

    served.asyncio = types.SimpleNamespace(new_event_loop=new_event_loop)  # type: ignore[attr-defined]
    provider = types.SimpleNamespace()
    served.get_provider = lambda _props, _config: provider  # type: ignore[attr-defined]
    server = grpc.server(futures.ThreadPoolExecutor(2))
    servicer = served.DynamicResourceProviderServicer()  # type: ignore[attr-defined]
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()

    def call(returned: Callable[[], Any]) -> grpc.RpcError | Any:
        provider.create = lambda _props: returned()
        properties = Struct()
        properties["__provider"] = "code"
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = provider_pb2_grpc.ResourceProviderStub(channel)
            try:
                return stub.Create(provider_pb2.CreateRequest(properties=properties), timeout=100)
            except grpc.RpcError as error:
                return error

    yield call
    server.stop(0)
    for loop in loops:
        loop.close()


@pytest.mark.parametrize("what", RETURNED)
def test_what_the_sdk_cannot_send_is_a_doubt(create: Any, what: str) -> None:
    """Whatever it says of it: the provider had made it by then."""
    error = create(RETURNED[what])
    assert isinstance(error, grpc.RpcError), "the SDK takes it now"
    assert doubt_of(f"rpc error: code = Unknown desc = {error.details()}") == UNREADABLE


def test_what_a_provider_raises_itself_is_its_refusal(create: Any) -> None:
    """Else nothing that fails would ever be clean."""
    error = create(raising)
    assert "quota exceeded" in error.details()
    assert doubt_of(f"rpc error: code = Unknown desc = {error.details()}") == ""


TRACEBACK = """Traceback (most recent call last):
  File "/lib/python3.12/site-packages/pulumi/dynamic/__main__.py", line 84, in wrapper
    return fn(self, request, context)
  File "/lib/python3.12/site-packages/pulumi/dynamic/__main__.py", line {line}, in Create
    {code}
"""


def test_a_newer_sdk_says_where_it_was() -> None:
    """Its words may be anything then."""
    own = TRACEBACK.format(line=170, code="result = provider.create(props)")
    own += (
        '  File "/home/me/saga.py", line 9, in create\n    raise ValueError("no")\nValueError: no\n'
    )
    assert doubt_of(own) == ""
    after = TRACEBACK.format(line=175, code="outs_proto = loop.run_until_complete(...)")
    assert doubt_of(f"{after}ValueError: words that nobody knows\n") == UNREADABLE


# -- what the engine, gRPC, and the services behind a provider say ---------------------------------

SAID = [
    (UNREADABLE, "plugin returned empty resource.ID from create 'urn:pulumi:dev::p::t::n'"),
    (UNREADABLE, "provider did not return an ID from Create"),
    (UNREADABLE, "error hooks execution failed: hook 'again' failed"),
    (UNREADABLE, "maximum number of error hook retries (100) reached"),
    (UNREADABLE, 'unexpected unknown property value for "x"'),
    (UNREADABLE, 'unexpected Asset Archive property value for "x"'),
    (UNREADABLE, 'malformed RPC secret: missing value for "x"'),
    (UNREADABLE, 'malformed resource reference for "x": missing urn'),
    (UNREADABLE, 'malformed output value for "x": secret not a bool'),
    (UNREADABLE, "unrecognized signature 'zzz' in property map for \"x\""),
    (UNREADABLE, "unexpected asset text of type float64"),
    (UNREADABLE, "archive member 'x' is not an asset or archive"),
    (UNREADABLE, 'failed to compute asset hash for "x": open /gone: no such file or directory'),
    # As newer engines (3.274) word these.
    (UNREADABLE, "unexpected unknown value at x[0].y"),
    (UNREADABLE, "x: malformed secret: missing value"),
    (UNREADABLE, 'x["a: b"]: malformed resource reference: missing urn'),
    (UNREADABLE, "<root>: malformed output value: secret is not a bool"),
    (UNREADABLE, "x.y: malformed byte string: value is not valid base64: illegal data"),
    (UNREADABLE, 'x: unknown signature "zzz"'),
    (UNREADABLE, "x: unknown value kind <nil>"),
    (UNREADABLE, "x: unexpected archive hash of type float64"),
    (UNREADABLE, "failed to compute asset hash at x: open /gone: no such file or directory"),
    (
        UNREADABLE,
        (
            "rpc error: code = ResourceExhausted desc = grpc: received message larger than max "
            "(440401920 vs. 419430400)"
        ),
    ),
    (UNREADABLE, "rpc error: code = Internal desc = Failed to serialize response!"),
    (
        UNREADABLE,
        (
            "rpc error: code = Internal desc = grpc: failed to unmarshal the received message: "
            "string field contains invalid UTF-8"
        ),
    ),
    (IN_DOUBT, "rpc error: code = Unavailable desc = error reading from server: EOF"),
    (
        IN_DOUBT,
        (
            "rpc error: code = Internal desc = stream terminated by RST_STREAM with error code: "
            "INTERNAL_ERROR"
        ),
    ),
    (
        IN_DOUBT,
        "rpc error: code = Internal desc = server closed the stream without sending trailers",
    ),
    (UNANSWERED, "rpc error: code = DeadlineExceeded desc = context deadline exceeded"),
    (UNANSWERED, "POST /v1/vms: 504 Gateway Time-out"),
    (UNANSWERED, "creating server: status code: 502, request id: 1"),
    (UNANSWERED, "googleapi: Error 503: The service is currently unavailable."),
    (UNANSWERED, "HTTP 503 Service Temporarily Unavailable"),
    (UNANSWERED, "502 Server Error: Bad Gateway for url: https://api/vms"),
    (UNANSWERED, 'unexpected answer: {"code": 504, "message": "upstream"}'),
    (UNANSWERED, "api error ServiceUnavailable: Service Unavailable"),
    (UNANSWERED, 'Put "https://api/vms": http2: client connection lost'),
    (UNANSWERED, "http2: server sent GOAWAY and closed the connection; ErrCode=NO_ERROR"),
    (
        UNANSWERED,
        (
            "the server was unable to return a response in the time allotted, but may still be "
            "processing the request"
        ),
    ),
    (UNANSWERED, 'Post "https://api": context deadline exceeded (Client.Timeout exceeded)'),
    (UNANSWERED, "timeout while waiting for state to become 'available' (last state: 'creating')"),
    (UNANSWERED, "etcdserver: leader changed"),
    (UNANSWERED, "The read operation timed out"),
    (UNANSWERED, "ReadTimeout: "),
    ("", "HTTPConnectionPool: Max retries exceeded (Caused by ConnectTimeoutError('timed out'))"),
    ("", 'Post "https://api": net/http: TLS handshake timeout'),
    ("", "status code: 409, the name is taken"),
    ("", "error: port 5040 is in use"),
    ("", "creating VM: 500 machines are the limit of this account"),
    ("", "InvalidParameterValue: invalid value for timeout: -1"),
]


@pytest.mark.parametrize(("doubt", "message"), SAID)
def test_what_is_said_after_the_call_is_a_doubt(doubt: str, message: str) -> None:
    assert doubt_of(message) == doubt
