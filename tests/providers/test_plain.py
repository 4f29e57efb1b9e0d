"""The pure parts of a stand-in: values, differences, refreshed inputs, names."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.provider import PropertyDiffKind as Diff

from tests.providers.base import UNKNOWN, FailureError, Kind, decoded
from tests.providers.differences import detailed
from tests.providers.refresh import inputs_of
from tests.providers.values import dress, dress_map, plain


class Box(Kind):
    token = "cloud:index:Box"
    inputs = frozenset({"size", "name", "labels", "tags", "parts"})
    immutable = frozenset({"name", "labels.fixed"})
    defaults: ClassVar = {"size": 1}
    computed = frozenset({"parts"})
    autoname = "name"


def secret(value: Any) -> PropertyValue:
    return PropertyValue(value, is_secret=True)


def test_secrets_stay_where_they_were_and_spread_where_the_place_cannot_be_told() -> None:
    like = PropertyValue({"user": PropertyValue("u"), "password": secret("p")})
    same = dress({"user": "other", "password": "new", "size": 3}, like)
    assert {key: item.is_secret for key, item in same.value.items()} == {
        "user": False,
        "password": True,
        "size": False,
    }
    assert plain(same) == {"user": "other", "password": "new", "size": 3}
    assert dress("user=u;password=p", like).is_secret
    listed = PropertyValue([PropertyValue("a"), secret("b")])
    assert [item.is_secret for item in dress(["x", "y"], listed).value] == [False, True]
    assert dress(["b"], listed).is_secret
    named = dress_map({"key": "k", "gone": None}, {}, secret=frozenset({"key"}))
    assert named == {"key": secret("k")}


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ({"size": 1}, {}, {}),
        ({"size": 2}, {}, {"size": Diff.UPDATE}),
        ({"tags": {"a": "1"}}, {"tags": {"a": "2", "b.c": "3"}}, {
            "tags.a": Diff.UPDATE,
            'tags["b.c"]': Diff.ADD,
        }),
        ({"tags": {}}, {}, {}),
        ({"name": "a"}, {"name": UNKNOWN}, {"name": Diff.UPDATE_REPLACE}),
        ({"name": "a"}, {}, {"name": Diff.DELETE_REPLACE}),
        ({"labels": {"fixed": "a"}}, {"labels": {"fixed": "b", "fixedly": "c"}}, {
            "labels.fixed": Diff.UPDATE_REPLACE,
            "labels.fixedly": Diff.ADD,
        }),
        ({"parts": [1, 2]}, {"parts": [1, 3, 4]}, {"parts[1]": Diff.UPDATE, "parts[2]": Diff.ADD}),
        ({"parts": [1]}, {}, {}),
        ({"__defaults": ["name"]}, {}, {}),
    ],
)  # fmt: skip
def test_differences_by_path(old: Any, new: Any, changed: dict[str, Diff]) -> None:
    assert {path: diff.kind for path, diff in detailed(Box(), old, new).items()} == changed


def test_a_refresh_tells_drift_of_what_was_given_and_an_import_all_that_says_something() -> None:
    found = {
        "size": 5,
        "name": "b",
        "tags": {"x": "1"},
        "labels": {"a": "1", "z": "9"},
        "parts": [],
    }
    given = {"name": "b", "labels": {"a": "0"}, "tags": {"y": "1"}, "__defaults": ["name"]}
    assert inputs_of(Box(), given, found) == {
        "name": "b",
        "labels": {"a": "1"},
        "tags": {"x": "1"},
        "__defaults": ["name"],
    }
    assert inputs_of(Box(), {}, found) == {
        "labels": {"a": "1", "z": "9"},
        "name": "b",
        "size": 5,
        "tags": {"x": "1"},
    }
    assert "size" not in inputs_of(Box(), {}, {**found, "size": 1})


def test_a_name_is_made_up_once_by_the_engines_seed() -> None:
    box = Box()
    made = box.complete({}, {}, "files", b"seed")
    assert made == box.complete({}, {}, "files", b"seed")
    assert made["name"].startswith("files-")
    assert box.complete(made, {}, "files", b"other") == made
    assert box.complete(made, {"name": "mine"}, "files", b"") == {"name": "mine"}
    # One that was given before is not kept when it is no longer given.
    assert box.complete({"name": "mine"}, {}, "files", b"seed") == made


def test_nested_settings_come_as_json_text() -> None:
    assert decoded({"endpoints": '[{"s3": "http://x"}]'}, "endpoints") == [{"s3": "http://x"}]
    assert decoded({"skip": "true"}, "skip") is True
    assert decoded({"skip": False}, "skip") is False
    assert decoded({"skip": ""}, "skip", default=3) == 3
    with pytest.raises(FailureError, match="the setting skip is not JSON: 'yes!'"):
        decoded({"skip": "yes!"}, "skip")
