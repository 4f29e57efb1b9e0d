"""What a stand-in is made of, and how its code is called: in threads, each error a sentence."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from pulumi.provider.experimental import provider as sdk
from pulumi.provider.experimental.property_value import PropertyValue

from tests.providers.kind import Kind, Made, PartlyMadeError, Props
from tests.providers.server import REQUEST, CallError
from tests.providers.values import FailureError, dress_map, plain_map


class Calls(sdk.Provider):
    """The part of `StandIn` that speaks no protocol."""

    name: ClassVar[str]
    """The package's name, as in its type tokens."""
    kinds: ClassVar[Mapping[str, Kind]]
    functions: ClassVar[Mapping[str, Callable[[Any, Props], Props]]] = {}
    """By token (`aws:index/getRegion:getRegion`), given `api` and the arguments."""
    settings: ClassVar[frozenset[str]] = frozenset()
    """The provider's settings that it knows, in the camel case of `pulumi config`."""

    def __init__(self) -> None:
        self._api: Any = None

    def connect(self, config: Props) -> Any:
        """What the kinds are given as `api`; raises FailureError for settings that cannot work.

        A setting that is no string may be JSON text: see `decoded`.
        """
        raise NotImplementedError

    def explain(self, error: Exception) -> str | None:
        """The sentence for an error of the service or its client; None for what is a bug here."""
        raise NotImplementedError

    async def _make(
        self, doing: str, kind: Kind, given: Mapping[str, PropertyValue], inputs: Props
    ) -> Made:
        made: Made = await self._do(doing, kind.create, self._api, inputs, like=(kind, given))
        if not made.id:
            raise CallError(f"{doing}: the service gave no id")
        return made

    async def _do(
        self,
        doing: str,
        work: Callable[..., Any],
        *arguments: Any,
        like: tuple[Kind, Mapping[str, PropertyValue]] | None = None,
    ) -> Any:
        """Call it in a thread; what it raises becomes a sentence."""
        try:
            return await asyncio.to_thread(work, *arguments)
        except PartlyMadeError as error:
            kind, given = like or (Kind(), {})
            properties = self._dressed(kind, given, error.outputs)
            told = self._told(error.reason)
            raise CallError(f"{doing}: {told}", error.id, properties) from error
        except Exception as error:
            raise CallError(f"{doing}: {self._told(error)}") from error

    def _told(self, error: Exception | str) -> str:
        if isinstance(error, str | FailureError):
            return str(error)
        told = self.explain(error)
        if told is None:
            # A mistake in the stand-in itself: where it is goes to the log of the engine.
            traceback.print_exception(error)
            told = f"{type(error).__name__}: {error}"
        return told

    def _kind(self, urn: str) -> tuple[Kind, str]:
        """The kind of this URN, and the words for the resource."""
        *_, types, name = urn.split("::", 3)
        token = types.rpartition("$")[2]
        kind = self.kinds.get(token)
        if kind is None:
            raise CallError(self._has_no(token, self.kinds))
        return kind, f'{token} "{name}"'

    def _has_no(self, token: str, there: Mapping[str, Any]) -> str:
        has = ", ".join(sorted(there)) or "none"
        return f"the stand-in for {self.name} has no {token}; it has: {has}"

    @staticmethod
    def _old_inputs() -> Props:
        return plain_map(PropertyValue.unmarshal_map(REQUEST.get().old_inputs))

    @staticmethod
    def _full(kind: Kind, given: Mapping[str, PropertyValue]) -> Props:
        inputs = {k: v for k, v in plain_map(given).items() if not k.startswith("__")}
        return {**kind.defaults, **inputs}

    @staticmethod
    def _dressed(
        kind: Kind, given: Mapping[str, PropertyValue], outputs: Props
    ) -> dict[str, PropertyValue]:
        inputs = {key: value for key, value in given.items() if not key.startswith("__")}
        # An input itself, not its plain value: it keeps what is secret deep inside.
        return {**inputs, **dress_map(outputs, given, secret=kind.secret)}
