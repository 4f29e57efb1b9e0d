"""The connection of the stand-in for aws: settings as pulumi-aws has them, clients by botocore."""

from __future__ import annotations

import os
import threading
from typing import Any

from tests.providers.base import FailureError, Props, decoded

SETTINGS = frozenset(
    {
        *("accessKey", "secretKey", "token", "profile", "region", "endpoints", "defaultTags"),
        *("maxRetries", "retryMode", "s3UsePathStyle", "allowedAccountIds", "insecure"),
        *("skipCredentialsValidation", "skipMetadataApiCheck", "skipRegionValidation"),
        "skipRequestingAccountId",
    }
)


class Api:
    """Clients by service and region, made when they are first needed.

    Raises FailureError for settings that the real provider refuses when it is configured: no
    region or an unknown one, no credentials or wrong ones, another account than is allowed.
    """

    def __init__(self, config: Props) -> None:
        self._config = config
        self._lock = threading.RLock()
        self._session: Any = None
        self._clients: dict[tuple[str, str], Any] = {}
        self._identity: dict[str, str] | None = None
        self.region: str = config.get("region") or _environment("AWS_REGION", "AWS_DEFAULT_REGION")
        if not self.region:
            raise FailureError("no region: set aws:region, or AWS_REGION in the environment")
        if not decoded(config, "skipRegionValidation", default=False):
            self._check_region(self.region)
        allowed = decoded(config, "allowedAccountIds", default=[])
        if not decoded(config, "skipCredentialsValidation", default=False) or allowed:
            account = self.identity["Account"]
            if allowed and account not in allowed:
                raise FailureError(f"account {account} is none of allowedAccountIds: {allowed}")

    @property
    def account(self) -> str:
        """The account's id, as STS tells it."""
        return self.identity["Account"]

    @property
    def identity(self) -> dict[str, str]:
        """What STS says of the credentials: Account, Arn, UserId."""
        with self._lock:
            if self._identity is None:
                self._identity = self.client("sts").get_caller_identity()
            return self._identity

    def client(self, service: str, region: str | None = None) -> Any:
        """botocore's client; of another region than the provider's own when one is given."""
        with self._lock:
            key = (service, region or self.region)
            if key not in self._clients:
                self._clients[key] = self._make(*key)
            return self._clients[key]

    def tags(self, inputs: Props) -> dict[str, str]:
        """The resource's tags over the provider's default ones: `tagsAll`."""
        default = decoded(self._config, "defaultTags", default={}).get("tags", {})
        return {**default, **(inputs.get("tags") or {})}

    def own_tags(self, found: dict[str, str], state: Props) -> Props:
        """`tags` and `tagsAll` as they are: default tags are own ones only if given as such."""
        default = decoded(self._config, "defaultTags", default={}).get("tags", {})
        given = state.get("tags") or {}
        own = {k: v for k, v in found.items() if k in given or default.get(k) != v}
        return {"tags": own, "tagsAll": found}

    def _make(self, service: str, region: str) -> Any:
        from botocore.config import Config

        config, style = self._config, {}
        if decoded(config, "s3UsePathStyle", default=False):
            style = {"addressing_style": "path"}
        retries: dict[str, Any] = {"mode": config.get("retryMode") or "standard"}
        if "maxRetries" in config:
            retries["total_max_attempts"] = max(1, int(config["maxRetries"]))
        endpoints: dict[str, str] = {}
        for each in decoded(config, "endpoints", default=[]):
            endpoints |= each
        return self._open().create_client(
            service,
            region_name=region,
            endpoint_url=endpoints.get(service),
            verify=not decoded(config, "insecure", default=False),
            aws_access_key_id=config.get("accessKey"),
            aws_secret_access_key=config.get("secretKey"),
            aws_session_token=config.get("token"),
            config=Config(retries=retries, s3=style, connect_timeout=10, read_timeout=60),
        )

    def _open(self) -> Any:
        if self._session is None:
            # A quarter of a second, which a preview of new resources alone does not need.
            from botocore.session import Session

            if decoded(self._config, "skipMetadataApiCheck", default=True):
                os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
            self._session = Session(profile=self._config.get("profile"))
        return self._session

    def _check_region(self, region: str) -> None:
        session = self._open()
        known = {
            one
            for partition in session.get_available_partitions()
            for one in session.get_available_regions("s3", partition)
        }
        if region not in known:
            raise FailureError(f'invalid AWS region "{region}"')


def _environment(*names: str) -> str:
    return next((value for name in names if (value := os.environ.get(name))), "")
