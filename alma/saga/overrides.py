"""What a command line says of a saga over what its file says: its stack, its organization."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from alma.core.validation import check_name
from alma.errors import DefinitionError

_said: ContextVar[Mapping[str, str] | None] = ContextVar("alma_overrides", default=None)


@contextmanager
def overriding(overrides: Mapping[str, str]) -> Iterator[None]:
    """Every saga that is made in here has this `stack` and this `organization`, where given.

    From its beginning: what its file takes from `saga.stack` follows it.
    """
    token = _said.set(overrides)
    try:
        yield
    finally:
        _said.reset(token)


def placed(stack: str, organization: str | None) -> tuple[str, str]:
    """The stack's name and its organization (or empty), as they are to be.

    `stack` may be written as Pulumi has it, with the organization before it: "acme/dev".
    """
    said = _said.get() or {}
    if "stack" in said:
        stack, organization = said["stack"], None if "/" in said["stack"] else organization
    elif "organization" in said:
        stack = str(stack).rpartition("/")[2]
    return split(stack, said.get("organization", organization))


def split(stack: object, organization: str | None = None) -> tuple[str, str]:
    """Both by themselves; DefinitionError for what is no name, and for two organizations."""
    named, slash, own = stack.rpartition("/") if isinstance(stack, str) else ("", "", stack)
    if slash and organization not in (None, "", named):
        raise DefinitionError(
            f"The stack {stack!r} is of the organization {named!r}, not of {organization!r}.",
            hint="Give the organization once.",
        )
    organization = named if slash else organization
    if organization or slash:
        organization = check_name("organization", organization)
    return check_name("stack", own), organization or ""
