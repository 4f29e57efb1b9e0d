from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from tests.integration.aws.account import Account
from tests.services.localstack import LocalStack


@pytest.fixture
def account(
    localstack: LocalStack,
    provider_plugins: dict[str, str],  # noqa: ARG001 - on PATH
    pulumi_cli: Path,  # noqa: ARG001 - it must be there
) -> Account:
    """An account that nobody else uses, so that all that is in it is this test's."""
    return Account(localstack.url, f"{secrets.randbelow(10**11) + 10**11}")
