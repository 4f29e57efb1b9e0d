"""Payloads that only the journal's key opens, but for the texts that are meant to be seen."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from temporalio.api.common.v1 import Payload
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    DefaultPayloadConverter,
    EncodingPayloadConverter,
    PayloadCodec,
    PayloadConverter,
)
from temporalio.exceptions import ApplicationError

from alma.errors import AuthenticationError
from alma.journal.encryption import Keys
from alma.runner.temporal.orders import OpenText

if TYPE_CHECKING:
    from temporalio.api.failure.v1 import Failure

_ENCODING: Final = "encoding"
_SEALED: Final = b"binary/alma-sealed"
_PLAIN: Final = b"json/plain"
_MESSAGE: Final = "messageType"
_DETAILS: Final = WorkflowMetadata.DESCRIPTOR.full_name.encode()
"""The answer to a question that Temporal's pages ask for a workflow's current details. It has
nothing else but the names of its queries."""
_OPEN: Final = b" "
"""After the JSON of a text that is meant to be seen: no other JSON ends so. Temporal's own pages
and CLI show what has this encoding, and no other metadata."""


class _OpenTexts(EncodingPayloadConverter):
    """Marks an `OpenText`; what it has made, JSON's own converter reads."""

    @property
    def encoding(self) -> str:
        return "json/alma-open"

    def to_payload(self, value: Any) -> Payload | None:
        if not isinstance(value, OpenText):
            return None
        return Payload(metadata={_ENCODING: _PLAIN}, data=json.dumps(str(value)).encode() + _OPEN)

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:  # noqa: ARG002
        return json.loads(payload.data)


class Converter(CompositePayloadConverter):
    """Temporal's own, and open texts."""

    def __init__(self) -> None:
        super().__init__(_OpenTexts(), *DefaultPayloadConverter.default_encoding_payload_converters)


class SealedPayloads(PayloadCodec):
    """Seals under the journal's key, which every worker of a journal has."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """See `PayloadCodec`."""
        return [one if _is_open(one) or _is_asked(one) else self._seal(one) for one in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """See `PayloadCodec`. Raises AuthenticationError without the key.

        Who has not the key starts nothing, and answers nothing: what is neither sealed nor meant
        to be seen is not taken.
        """
        return [one if _is_open(one) else self._unseal(one) for one in payloads]

    def _seal(self, payload: Payload) -> Payload:
        text = base64.b64encode(payload.SerializeToString()).decode("ascii")
        return Payload(metadata={_ENCODING: _SEALED}, data=self._keys.seal(text).encode())

    def _unseal(self, payload: Payload) -> Payload:
        if payload.metadata.get(_ENCODING) != _SEALED:
            raise AuthenticationError("A payload is not sealed under the journal's key.")
        text = self._keys.unseal(payload.data.decode("ascii"))
        return Payload.FromString(base64.b64decode(text))


def _is_open(payload: Payload) -> bool:
    """One text (it begins with a quote), so that nothing is ordered by what is not sealed."""
    data, plain = payload.data, payload.metadata.get(_ENCODING) == _PLAIN
    return plain and data.startswith(b'"') and data.endswith(_OPEN)


def _is_asked(payload: Payload) -> bool:
    """Only answered so, and never taken: nobody here asks it."""
    return payload.metadata.get(_MESSAGE) == _DETAILS


class _Failures(DefaultFailureConverterWithEncodedAttributes):
    """Seals their texts, but for one that is meant to be seen: that has no trace of a stack."""

    def to_failure(
        self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure
    ) -> None:
        super().to_failure(exception, payload_converter, failure)
        if isinstance(exception, ApplicationError) and isinstance(exception.message, OpenText):
            failure.message, failure.stack_trace = str(exception.message), ""
            failure.ClearField("encoded_attributes")


def converter(keys: Keys) -> DataConverter:
    """For clients and workers alike; the texts of failures are sealed as well."""
    return DataConverter(
        payload_converter_class=Converter,
        payload_codec=SealedPayloads(keys),
        failure_converter_class=_Failures,
    )
