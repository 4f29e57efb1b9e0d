"""What the resource types of aws have in common."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from tests.providers.base import UNKNOWN, Kind, PartlyMadeError, Props

if TYPE_CHECKING:
    from tests.providers.aws.api import Api


class AwsKind(Kind):
    """A resource in a region. Inputs in `documents` are JSON texts, compared by what they mean."""

    service: ClassVar[str]
    """botocore's name of the service."""
    gone: ClassVar[frozenset[str]] = frozenset()
    """Error codes that say that the resource is not there."""
    documents: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls) -> None:
        # As Terraform has it, over which the real provider is made: optional and computed.
        cls.computed = (cls.inputs or frozenset()) & cls.outputs - cls.defaults.keys()

    def client(self, api: Api, props: Props) -> Any:
        """The client for the region that the resource is in."""
        return api.client(self.service, props.get("region"))

    def equal(self, path: str, old: Any, new: Any) -> bool:
        """JSON texts are equal when they say the same."""
        if path in self.documents and isinstance(old, str) and isinstance(new, str):
            return document(old) == document(new)
        return super().equal(path, old, new)

    def drifted(self, api: Api | None, state: Props, inputs: Props) -> Iterator[str]:
        """Default tags of the provider's that have changed."""
        known = api is not None and "tagsAll" in self.outputs and "tagsAll" in state
        if known and api.tags(inputs) != state["tagsAll"] and UNKNOWN not in inputs.values():
            yield "tagsAll"

    def code(self, error: Exception) -> str:
        """AWS's code of an error; empty for another kind of error."""
        return str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))

    def is_gone(self, error: Exception) -> bool:
        """Whether it says that the resource is not there."""
        return self.code(error) in self.gone

    @contextmanager
    def may_be_gone(self) -> Iterator[None]:
        """Pass over an error that says that the resource is not there."""
        try:
            yield
        except Exception as error:
            if not self.is_gone(error):
                raise


@contextmanager
def made(id_: str, outputs: Props) -> Iterator[None]:
    """What is done to a resource that is there: an error leaves it in the state."""
    try:
        yield
    except Exception as error:
        raise PartlyMadeError(id_, outputs, error) from error


def document(text: str) -> Any:
    """What a JSON text says; the text itself when it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def text(value: Any) -> str:
    """An attribute as AWS takes it: JSON unless it is a text already."""
    return value if isinstance(value, str) else json.dumps(value)


def retag(old: dict[str, str], new: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """Tags to set, and keys of tags to remove."""
    added = {key: value for key, value in new.items() if old.get(key) != value}
    return added, sorted(old.keys() - new.keys())


def pairs(tags: dict[str, str]) -> list[dict[str, str]]:
    """Tags as most services take them."""
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def by_key(tags: list[dict[str, str]]) -> dict[str, str]:
    """Tags as most services give them."""
    return {tag["Key"]: tag["Value"] for tag in tags}
