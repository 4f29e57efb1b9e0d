"""An operation's events: every one, in order; what is missing is known, and is no success."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from pulumi.automation import EngineEvent

from alma.pulumi.automation.operation import Events
from tests.pulumi import programs
from tests.pulumi.conftest import Place

END = {"cancelEvent": {}}
MADE = {
    "resOutputsEvent": {
        "metadata": {
            "op": "create",
            "urn": "urn:pulumi:dev::demo::demo:index:Thing::a",
            "type": "demo:index:Thing",
            "new": {"id": "id-a", "protect": True},
        }
    }
}

THROUGH_A_PROXY = '''#!{python}
"""The CLI, its events through a proxy that can change them on their way."""
import os, subprocess, sys
from concurrent import futures

arguments = sys.argv[1:]
if "--event-log" not in arguments:
    os.execv("{pulumi}", ["pulumi", *arguments])

import grpc
from pulumi.runtime.proto import events_pb2, events_pb2_grpc

at = arguments.index("--event-log") + 1
theirs = grpc.insecure_channel(arguments[at].removeprefix("tcp://"))


def changed(text):
    {change}


class Proxy(events_pb2_grpc.EventsServicer):
    def StreamEvents(self, requests, context):
        sent = (changed(request.event) for request in requests)
        requests = (events_pb2.EventRequest(event=text) for text in sent if text)
        return events_pb2_grpc.EventsStub(theirs).StreamEvents(requests)


server = grpc.server(futures.ThreadPoolExecutor(2))
events_pb2_grpc.add_EventsServicer_to_server(Proxy(), server)
arguments[at] = "tcp://127.0.0.1:%d" % server.add_insecure_port("127.0.0.1:0")
server.start()
sys.exit(subprocess.call(["{pulumi}", *arguments]))
'''


def _observe(*events: dict[str, Any]) -> Events:
    seen = Events(lambda *_: None)
    for at, event in enumerate(events):
        seen(EngineEvent.from_json({"sequence": at, **event}))
    return seen


@pytest.mark.parametrize(
    "events",
    [
        [],
        [{"summaryEvent": {"resourceChanges": {"create": 1}}}],
        [MADE, {"sequence": 2, **END}],
        [{"sequence": 1, **MADE}, {"sequence": 2, **END}],
        [{"sequence": 1, **MADE}, MADE, {"sequence": 2, **END}],
    ],
    ids=["nothing", "no end", "a gap", "no beginning", "out of order"],
)
def test_what_is_missing_is_known(events: list[dict[str, Any]]) -> None:
    assert not _observe(*events).complete


def test_what_is_kept_of_an_operation() -> None:
    seen = _observe({"preludeEvent": {"config": {}}}, MADE, END)
    assert seen.complete
    ((urn, operation),) = seen.touched
    assert (operation, seen.touched[urn, operation].id) == ("create", "id-a")
    assert seen.lasting == {urn: "protect"}


def test_an_event_that_cannot_be_noted_is_missing() -> None:
    """The SDK makes a warning of whatever its listener raises, and goes on."""

    def refuse(*_: object) -> None:
        raise ValueError("full")

    seen = Events(refuse)
    with pytest.raises(ValueError, match="full"):
        seen(EngineEvent.from_json({"sequence": 0, **MADE}))
    seen(EngineEvent.from_json({"sequence": 1, **END}))
    assert not seen.complete


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("return text", True),
        ("return '' if 'resOutputsEvent' in text else text", False),
        ("return '' if 'cancelEvent' in text else text", False),
        ("""return text.replace('"op":"create"', '"op":"conjure"')""", False),
    ],
    ids=["as they are", "one lost", "the last one lost", "one that the SDK does not know"],
)
async def test_a_success_that_is_not_all_told_is_none(
    place: Place, pulumi_cli: Path, change: str, *, told: bool
) -> None:
    """What was made to last, or is in doubt, would be missing from an undo's account."""
    script = place.argv.parent / "bin" / "pulumi"
    names = {"python": sys.executable, "pulumi": pulumi_cli, "change": change}
    script.write_text(THROUGH_A_PROXY.format(**names))
    script.chmod(0o755)
    result = await place.up(programs.one)
    if told:
        assert result.failure is None
        return
    assert result.failure is not None
    assert "did not tell all that it did" in result.failure.message
    assert "pip install pulumi==3." in result.failure.hint
    assert (await place.engine.inspect(place.ref())).resources
