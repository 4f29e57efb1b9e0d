"""A stack with the settings of an application: a config map and a secret.

Config: `namespace` is required; `name` (`app`), `data` (a JSON object of strings, for the config
map), `secrets` (the same, for the secret; to be given as secret config), `labels`.
Outputs: `config_map` and `secret` (their names), `digest` (secret; changes with any of the values).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import pulumi
from pulumi_kubernetes.core.v1 import ConfigMap, Secret

from stacks.kubernetes.metadata import described


def program() -> None:
    """The stack. Raises TypeError, without a value in it, for one that is no string."""
    config = pulumi.Config()
    name = config.get("name", "app")
    metadata = described(
        name, namespace=config.require("namespace"), labels=config.get_object("labels")
    )
    data = strings("data", config.get_object("data") or {})
    secrets = pulumi.Output.from_input(config.get_secret_object("secrets")).apply(
        lambda values: strings("secrets", values or {})
    )
    # A value may be as short as a word: what is made of it stays secret, its names are not.
    secrets = pulumi.Output.secret(secrets)
    config_map = ConfigMap("config-map", metadata=metadata, data=data)
    secret = Secret("secret", metadata=metadata, string_data=secrets)
    pulumi.export("config_map", config_map.metadata.name)
    pulumi.export("secret", secret.metadata.name)
    pulumi.export("digest", secrets.apply(lambda values: digest(data, values)))


def strings(key: str, values: object) -> dict[str, str]:
    """`values`, which must be a mapping of strings to strings."""
    if not isinstance(values, Mapping):
        raise TypeError(f"{key} must be a JSON object, not {type(values).__name__}")
    for name, value in values.items():
        if not isinstance(value, str):
            raise TypeError(f"{key}: {name} must be a string, not {type(value).__name__}")
    return dict(values)


def digest(*values: Mapping[str, str]) -> str:
    """A digest of all the values; the order of the keys does not matter."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
