"""The service, and where the runs are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from alma.steps.cloudformation import following
from tests.steps.cloudformation.api import FakeCloudFormation, serve
from tests.steps.conftest import Place


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCloudFormation]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-test-1")
    monkeypatch.setattr(following, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(following, "LONGEST_PAUSE", 0.05)
    with serve() as fake:
        monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDFORMATION", fake.url)
        yield fake


@pytest.fixture(autouse=True)
def here(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place.root)
