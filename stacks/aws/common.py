"""Names and tags as all stacks of this package give them."""

from __future__ import annotations

import pulumi


def named(part: str) -> str:
    """`<project>-<stack>-<part>`: tells resources apart in an account that several stacks share."""
    return f"{pulumi.get_project()}-{pulumi.get_stack()}-{part}"


def tags(part: str) -> dict[str, str]:
    """`Name`, `Project` and `Stack`, and over them what the config's `tags` (JSON object) say.

    Raises ValueError for `tags` that are not an object of strings.
    """
    own = pulumi.Config().get_object("tags", {})
    if not isinstance(own, dict) or not all(isinstance(value, str) for value in own.values()):
        raise ValueError(f"tags must be a JSON object of strings, not {own!r}.")
    common = {"Project": pulumi.get_project(), "Stack": pulumi.get_stack()}
    return {"Name": named(part), **common, **own}
