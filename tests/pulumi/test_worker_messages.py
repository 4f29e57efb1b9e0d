"""What crosses between runner and worker arrives as it was, and nothing else is taken for it."""

from __future__ import annotations

import os
import pickle
from enum import StrEnum
from typing import Any

import msgspec
import pytest

from alma.core.events import Failure, Process, ResourceChange
from alma.core.secret import Secret
from alma.pulumi import messages
from alma.pulumi.messages import Interrupt, Known, Message, Progress, Ready, Report, Started, Task
from alma.pulumi.restore.plan import RestorePlan
from tests.pulumi.conftest import Place

NO_TEXT = os.fsdecode(b"\xff\xfe of another encoding")


class Size(StrEnum):
    """A value as users write them."""

    SMALL = "small"


class Name(str):
    """A text of a user's own kind."""

    __slots__ = ()


def crossed(message: Message) -> Message:
    """The message after its way."""
    return messages.decode(messages.encode(message)[messages.LENGTH.size :])


def task(**fields: Any) -> Task:
    """A task of which only these fields matter."""
    texts = ("operation", "project", "stack", "cli", "cli_version", "directory", "project_dir")
    given = dict.fromkeys((*texts, "log_dir", "cwd"), "x")
    return Task(**{"kind": "up", "search": ("a",), "environment": {}, **given, **fields})


@pytest.mark.parametrize(
    "message",
    [
        Interrupt(),
        Known(),
        Ready(Process(host="h", pid=1, started=1.25)),
        Started(Process(host="h", pid=1, started=1.25)),
        Progress("urn", "create", done=True),
        Report(
            failure=Failure(kind="provider", message=NO_TEXT, hint="h", log="l", urn="u"),
            changes={"create": 1},
            resources=(ResourceChange(urn="u", op="create", id="i"),),
            said={"u": "no"},
        ),
        task(program=pickle.dumps("any bytes")),
        task(environment={"A": NO_TEXT}, search=(NO_TEXT, "b")),
        task(plain={"k": [1 << 70, -(1 << 70), 0.1, None, True, {"deep": "\ud800"}]}),
        task(secrets=(Secret("s"), Secret({"deep": [1 << 70]}), Secret(None), Secret.sealed())),
        task(
            replay=RestorePlan(
                entries=({"urn": "u", "inputs": {"n": 1.5}},),
                plugins={"p": {"v": "1"}},
                relaxed=frozenset({"u", "v"}),
                secrets=(Secret("s"),),
            )
        ),
    ],
    ids=[
        *("interrupt", "known", "ready", "started", "progress", "report"),
        *("program", "environment", "config", "secrets", "restore"),
    ],
)
def test_a_message_arrives_as_it_was(message: Message) -> None:
    assert crossed(message) == message


def test_values_of_a_users_own_types_arrive_as_what_they_stand_for() -> None:
    arrived = crossed(task(plain={"size": Size.SMALL, "name": Name("n")}))
    assert isinstance(arrived, Task)
    assert arrived.plain == {"size": "small", "name": "n"}
    assert {type(value) for value in arrived.plain.values()} == {str}


def test_a_task_shows_no_secret() -> None:
    holding = task(injected={"k": "CANARY"}, sealed={"k": "CANARY"}, plain={"k": "CANARY"})
    assert "CANARY" not in repr(holding) + str(holding)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b'{"type": "progress", "urn": 3, "op": "create", "done": true}', "$.urn"),
        (b'{"type": "ready"}', "process"),
        (b'{"type": "burn"}', "$.type"),
    ],
)
def test_what_is_no_message_is_refused_with_its_place(body: bytes, path: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=path.replace("$", r"\$")):
        messages.decode(body)


async def test_secret_config_of_any_kind_reaches_the_program(place: Place) -> None:
    """And an environment that is no text does not keep a worker from its task."""
    os.environb[b"ALMA_TEST_BYTES"] = b"\xff"
    try:
        result = await place.up(
            compare, config={"big": Secret([1 << 70]), "odd": Secret("ä\u2028")}
        )
    finally:
        del os.environb[b"ALMA_TEST_BYTES"]
    assert result.failure is None, result.failure


def compare() -> None:
    """Fail unless the config is what was given."""
    import pulumi

    config = pulumi.Config()
    assert config.require_object("big") == [1 << 70]
    assert config.require("odd") == "ä\u2028"
    assert os.environb[b"ALMA_TEST_BYTES"] == b"\xff"
