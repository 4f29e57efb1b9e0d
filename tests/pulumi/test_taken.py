"""Which entries of a state stand for one thing, and which only have the same id."""

from __future__ import annotations

from typing import Any

import pytest

from alma.pulumi.deployment import with_let_go
from alma.pulumi.taken import Held, digest_of, made_since, taken_over

SECRET = {
    "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270",
    "ciphertext": "v1:x",
}


def deployment(entry: dict[str, Any], stack: str, **provider: Any) -> dict[str, Any]:
    """A state with one resource, and its provider."""
    package = entry["type"].partition(":")[0]
    urn = f"urn:pulumi:{stack}::p::pulumi:providers:{package}::default"
    made = {"urn": urn, "type": f"pulumi:providers:{package}", "id": stack, "custom": True}
    thing = {
        "urn": f"urn:pulumi:{stack}::p::{entry['type']}::thing",
        "custom": True,
        "provider": f"{urn}::{stack}",
        **entry,
    }
    return {"resources": [{**made, "inputs": provider}, thing]}


QUEUE = {"type": "aws:sqs/queue:Queue", "id": "https://sqs/0/q"}
ROLE = {"type": "aws:iam/role:Role", "id": "app"}
POD = {"type": "kubernetes:core/v1:Pod", "id": "default/app"}
VOLUME = {"type": "docker:index/volume:Volume", "id": "data"}
DYNAMIC = {"type": "pulumi-python:dynamic:Resource", "id": "www"}


def arn(account: str) -> dict[str, Any]:
    return {"outputs": {"arn": f"arn:aws:iam::{account}:role/app"}}


def uid(text: str) -> dict[str, Any]:
    return {"outputs": {"metadata": {"uid": text}}}


@pytest.mark.parametrize(
    ("one", "here", "other", "there", "same"),
    [
        (QUEUE, {}, QUEUE, {}, True),
        (QUEUE, {}, {**QUEUE, "id": "https://sqs/0/other"}, {}, False),
        (QUEUE, {}, {**QUEUE, "type": "aws:sns/topic:Topic"}, {}, False),
        (QUEUE, {}, {**QUEUE, "external": True}, {}, False),
        (QUEUE, {"endpoints": "[{a}]"}, QUEUE, {"endpoints": "[{b}]"}, False),
        ({**ROLE, **arn("1")}, {}, {**ROLE, **arn("1")}, {"region": "other"}, True),
        ({**ROLE, **arn("1")}, {}, {**ROLE, **arn("2")}, {}, False),
        ({**POD, **uid("a")}, {}, {**POD, **uid("a")}, {}, True),
        ({**POD, **uid("a")}, {}, {**POD, **uid("b")}, {}, False),
        (VOLUME, {"version": "1"}, VOLUME, {"version": "2"}, True),
        (VOLUME, {"host": "tcp://a"}, VOLUME, {"host": "tcp://b"}, False),
        (VOLUME, {"host": SECRET}, VOLUME, {"host": {**SECRET, "ciphertext": "v1:y"}}, True),
        ({**DYNAMIC, "inputs": {"zone": "a"}}, {}, {**DYNAMIC, "inputs": {"zone": "a"}}, {}, True),
        ({**DYNAMIC, "inputs": {"zone": "a"}}, {}, {**DYNAMIC, "inputs": {"zone": "b"}}, {}, False),
        *(
            ({"type": kind, "id": "none"}, {}, {"type": kind, "id": "none"}, {}, False)
            for kind in ("random:index/randomPassword:RandomPassword", "null:index:Resource")
        ),
    ],
)
def test_one_thing_or_only_one_id(
    one: dict[str, Any],
    here: dict[str, Any],
    other: dict[str, Any],
    there: dict[str, Any],
    same: bool,
) -> None:
    """An ARN and a uid tell it; else type and id, where the providers work in one place."""
    mine = deployment(one, "dev", **here)
    held = Held(whose="stack p/prod", deployment=deployment(other, "prod", **there))
    found = taken_over(made_since(mine, {}), mine, (), [held])
    assert list(found.values()) == (["stack p/prod holds it"] if same else [])


def test_what_was_in_the_stack_itself_is_not_made_since() -> None:
    """Nor is what it imports made, nor what `existed` has seen, by id or by ARN."""
    mine = deployment({**ROLE, **arn("1")}, "dev")
    assert made_since(mine, mine) == ()
    for seen in ("app", "arn:aws:iam::1:role/app"):
        [why] = taken_over(made_since(mine, {}), mine, (digest_of(seen),), []).values()
        assert why == "existed= has seen it"
    assert taken_over(made_since(mine, {}), mine, (digest_of("ap"),), []) == {}
    imported = deployment({**ROLE, "importID": "app"}, "dev")
    [why] = taken_over(made_since(imported, {}), imported, (), []).values()
    assert why == "its program imports it"


@pytest.mark.parametrize(
    ("changes", "older"),
    [
        ({}, True),
        # Its own: the apply made it, and the server took its time a moment before.
        ({"made": "2026-01-01T00:00:09Z"}, False),
        ({"made": "2026-01-01T00:00:10Z"}, False),
        # An update came after the create: the first apply is not known any more.
        ({"modified": "2026-01-01T00:00:11Z"}, False),
        # What others have applied says nothing, nor do objects of a client without such an apply.
        ({"manager": "kubectl"}, False),
        ({"operation": "Update"}, False),
        # It takes back what it has applied, and deletes nothing.
        ({"type": "kubernetes:core/v1:PodPatch"}, False),
        ({"type": "cloud:index:Pod"}, False),
    ],
)
def test_an_object_that_is_older_than_its_first_apply_was_there(
    changes: dict[str, str], older: bool
) -> None:
    """A server-side apply makes what is not there, and takes over what is."""
    told = {"made": "2026-01-01T00:00:00Z", "manager": "ours", "operation": "Apply", **changes}
    applied = {"time": "2026-01-01T00:00:09Z"} | {k: told[k] for k in ("manager", "operation")}
    others = {"manager": "theirs", "operation": "Update", "time": "2026-01-01T00:00:00Z"}
    about = {"creationTimestamp": told["made"], "managedFields": [others, applied], "uid": "u"}
    entry = {
        **POD,
        "type": told.get("type", POD["type"]),
        "outputs": {"metadata": about, "__fieldManager": "ours"},
        "created": "2026-01-01T00:00:10Z",
        "modified": told.get("modified", "2026-01-01T00:00:10Z"),
    }
    mine = deployment(entry, "dev")
    found = taken_over(made_since(mine, {}), mine, (), [])
    assert list(found.values()) == (["its cluster had it before"] if older else [])


def test_what_goes_with_a_thing_that_stays_is_deleted_itself() -> None:
    """Else it would stay as well, and nobody would name it."""
    mine = deployment(VOLUME, "dev")
    urn = mine["resources"][1]["urn"]
    mine["resources"].append({"urn": "urn:x", "type": "a:b:C", "id": "1", "deletedWith": urn})
    mended = with_let_go({"version": 3, "deployment": mine}, {(urn, "data")})
    entries = mended["deployment"]["resources"]
    assert [entry.get("retainOnDelete", False) for entry in entries] == [False, True, False]
    assert "deletedWith" not in entries[2]
