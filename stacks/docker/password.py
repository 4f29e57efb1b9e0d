"""A password that is made once and then kept, encrypted, in the stack's state."""

from __future__ import annotations

import secrets
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, Resource

from stacks.local.provider import LocalProvider


class PasswordProvider(LocalProvider):
    """Makes the password. There is nothing outside the state, so nothing to delete."""

    def create(self, _props: dict[str, Any]) -> CreateResult:
        """32 characters that need no quoting in a shell or a URL."""
        return CreateResult("password", {"value": secrets.token_urlsafe(24)})


class Password(Resource, module="docker", name="Password"):
    """A random password; `value` is secret."""

    value: pulumi.Output[str]

    def __init__(self, name: str) -> None:
        super().__init__(
            PasswordProvider(),
            name,
            {"value": None},
            pulumi.ResourceOptions(additional_secret_outputs=["value"]),
        )
