"""The stand-in for Docker without a daemon: what the official provider does there as well."""

from __future__ import annotations

import pytest
from pulumi.provider.experimental.provider import PropertyDiffKind as Diff

from tests.providers.differences import detailed
from tests.providers.docker.container import Container
from tests.providers.docker.image import RemoteImage
from tests.providers.docker.provider import Docker


def test_a_daemon_is_asked_when_something_is_done_and_not_when_it_is_configured() -> None:
    """So the preview of what is new goes well where nobody answers, and the `up` fails."""
    host = "nowhere://here"
    daemon = Docker().connect({"host": host})
    with pytest.raises(ConnectionError, match=f"the Docker daemon at {host} does not answer"):
        RemoteImage().create(daemon, {"name": "busybox"})


def test_another_container_comes_once_the_old_one_is_gone() -> None:
    assert Container().delete_first


@pytest.mark.parametrize(
    ("key", "old", "new", "how"),
    [
        ("command", ["a"], ["b"], Diff.UPDATE_REPLACE),
        ("memory", 64, 128, Diff.UPDATE),
        ("init", True, False, Diff.UPDATE),
        ("healthcheck", {"tests": ["a"]}, {"tests": ["b"]}, Diff.UPDATE),
    ],
)
def test_what_replaces_a_container(key: str, old: object, new: object, how: Diff) -> None:
    [found] = detailed(Container(), {key: old}, {key: new}).values()
    assert found.kind is how


def test_no_image_can_be_imported() -> None:
    """Its id is that of Docker and its name; the provider reads it by its name alone."""
    assert RemoteImage().read(None, "sha256:" + "0" * 64 + "busybox", {}) is None
