"""Asking CloudFormation, with boto3: where it is, and what its answers mean."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from alma.core.events import Failure
from alma.errors import AlmaError, DefinitionError, ToolError

EXTRA: Final = "alma-pulumi[cloudformation]"
_THROTTLED: Final = ("Throttling", "ThrottlingException", "RequestLimitExceeded")
_AWAY: Final = ("InternalFailure", "InternalError", "ServiceUnavailable")
_ABSENT: Final = ("does not exist", "not found")
_NOT_HERE: Final = "not yet been emulated"
"""LocalStack, of what it does not have."""
_UNKNOWN_CALL: Final = ("InvalidAction", "UnknownOperationException", "UnsupportedOperation")
_CREDENTIALS: Final = (
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
    "AuthFailure",
    "InvalidAccessKeyId",
    "MissingAuthenticationToken",
)


class ServiceError(AlmaError):
    """CloudFormation refused, failed, or did not answer. `code` is AWS's word, or empty."""

    def __init__(self, message: str, *, code: str = "", said: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.said = said or message

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        """Of credentials that are refused, as of a passphrase."""
        return 3 if self.code in _CREDENTIALS else 1

    @property
    def is_absent(self) -> bool:
        """What was asked for is not there."""
        absent = self.code in ("ValidationError", "ChangeSetNotFound", "StackNotFoundException")
        return absent and any(word in self.said for word in _ABSENT)

    @property
    def is_unavailable(self) -> bool:
        """This service does not have that call, or who asks may not make it."""
        unknown = self.code in _UNKNOWN_CALL or _NOT_HERE in self.said
        return unknown or self.code == "AccessDenied"

    @property
    def may_pass(self) -> bool:
        """The same question may be answered later."""
        return not self.code or self.code in (*_THROTTLED, *_AWAY)

    def failure(self) -> Failure:
        """As an operation's failure."""
        kind = "provider" if self.may_pass else "refused"
        return Failure(kind=kind, message=self.message, hint=self.hint)


def require() -> None:
    """Raise ToolError where boto3 is not installed."""
    if importlib.util.find_spec("boto3") is None:
        raise ToolError(
            "Steps of CloudFormation need boto3, which is not installed.",
            hint=f"pip install '{EXTRA}'",
        )


@dataclass(frozen=True, kw_only=True)
class Place:
    """Which CloudFormation: what is empty is as boto3 finds it in the environment."""

    region: str = ""
    profile: str = ""
    endpoint: str = ""
    localstack: bool = False
    """Then the credentials are those that every LocalStack takes."""

    def __str__(self) -> str:
        return f"{self.region} at {self.endpoint}" if self.localstack else self.region


@dataclass
class Service:
    """The API of one place. The client is made with the first call, or by `open`."""

    place: Place
    _client: Any = field(default=None, repr=False)

    def open(self) -> Any:
        """boto3's client; AlmaErrors for a profile or a region that is not there."""
        if self._client is None:
            self._client = self._made()
        return self._client

    def settled(self) -> Place:
        """The place with what only this environment says of it. Raises as `open`."""
        about = self.open().meta
        return Place(
            region=about.region_name,
            profile=self.place.profile,
            endpoint=about.endpoint_url,
            localstack=self.place.localstack,
        )

    def _made(self) -> Any:
        require()
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, NoRegionError, ProfileNotFound

        keys = {}
        if self.place.localstack:
            keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        try:
            session = boto3.session.Session(
                profile_name=self.place.profile or None, region_name=self.place.region or None
            )
            return session.client(
                "cloudformation",
                endpoint_url=self.place.endpoint or None,
                config=Config(
                    connect_timeout=10,
                    read_timeout=60,
                    retries={"mode": "standard", "total_max_attempts": 5},
                ),
                **keys,
            )
        except NoRegionError as error:
            raise DefinitionError(
                "CloudFormation: no AWS region is set.",
                hint="Give the step region=, or set AWS_DEFAULT_REGION.",
            ) from error
        except ProfileNotFound as error:
            raise DefinitionError(f"CloudFormation: {error}.") from error
        except (BotoCoreError, ValueError) as error:
            raise DefinitionError(f"CloudFormation cannot be asked: {error}.") from error

    async def call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """One call, by its name in boto3. Raises ServiceError."""
        client = self.open()
        given = {key: value for key, value in arguments.items() if value not in (None, "", [])}
        found: dict[str, Any] = await asyncio.to_thread(
            _asked, operation, getattr(client, operation), given
        )
        return found

    async def pages(self, operation: str, key: str, **arguments: Any) -> Sequence[Any]:
        """All that an operation lists."""
        found: list[Any] = []
        token = ""
        while True:
            answer = await self.call(operation, NextToken=token, **arguments)
            found += answer.get(key, [])
            token = answer.get("NextToken", "")
            if not token:
                return found


def _asked(operation: str, function: Any, given: Mapping[str, Any]) -> Any:
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

    try:
        return function(**given)
    except ClientError as error:
        about = error.response.get("Error", {})
        code, said = str(about.get("Code", "")), str(about.get("Message", ""))
        raise ServiceError(
            f"CloudFormation ({operation}) answered {code}: {said}", code=code, said=said
        ) from error
    except NoCredentialsError as error:
        raise ServiceError(
            "CloudFormation cannot be asked: there are no AWS credentials.",
            code="InvalidClientTokenId",
            hint="Set them as for the AWS CLI, or give the step profile=.",
        ) from error
    except (BotoCoreError, OSError) as error:
        raise ServiceError(f"CloudFormation ({operation}) did not answer: {error}") from error
