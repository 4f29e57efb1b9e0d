"""A stack with a secret in Secrets Manager, and parameters in Systems Manager.

Config, all optional: `value` (secret; generated once when it is not given), `length` (32, of a
generated value), `name` (of the secret; generated), `recovery_days` (0: deleted at once; or 7 to
30, in which a deleted secret can be brought back and its name stays taken), `prefix` (of the
parameters, `/<project>/<stack>`), `parameters` and `secure_parameters` (JSON objects of strings;
the second one as secret config), `tags` (a JSON object).
Outputs: `secret_arn`, `secret_name`, `value` (secret), `version_id`, `parameter_names` (by key),
`parameter_arns` (list).

The parameter `secret-arn` tells applications where the secret is. Values of secure parameters are
SecureStrings. All are encrypted with the keys that AWS keeps for the account.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping

import pulumi
from pulumi_aws import secretsmanager, ssm

from stacks.aws.common import tags


def program() -> None:
    """The stack. Raises ValueError, before anything is made, for what AWS would refuse."""
    config = pulumi.Config()
    days = config.get_int("recovery_days", 0)
    if days != 0 and not 7 <= days <= 30:  # noqa: PLR2004 - what Secrets Manager takes
        raise ValueError(f"recovery_days must be 0, or from 7 to 30, not {days}.")
    length = config.get_int("length", 32)
    if not 8 <= length <= 4096:  # noqa: PLR2004 - no password is shorter, and none longer
        raise ValueError(f"length must be from 8 to 4096, not {length}.")
    plain = _strings("parameters", config.get_object("parameters"))
    # Read in plain to know the keys; each value is a secret again before it goes anywhere.
    secure = _strings("secure_parameters", config.get_object("secure_parameters"))
    if both := sorted({*plain, "secret-arn"} & secure.keys() | {"secret-arn"} & plain.keys()):
        raise ValueError(f"there are two parameters {both[0]!r}.")

    secret = secretsmanager.Secret(
        "secret", name=config.get("name"), recovery_window_in_days=days, tags=tags("secret")
    )
    version = _version(secret, config.get_secret("value"), length)
    parameters = {"secret-arn": _parameter("secret-arn", "String", secret.arn)}
    for key, value in plain.items():
        parameters[key] = _parameter(key, "String", value)
    for key, value in secure.items():
        parameters[key] = _parameter(key, "SecureString", pulumi.Output.secret(value))
    pulumi.export("secret_arn", secret.arn)
    pulumi.export("secret_name", secret.name)
    pulumi.export("value", version.secret_string)
    pulumi.export("version_id", version.version_id)
    pulumi.export("parameter_names", {key: each.name for key, each in parameters.items()})
    pulumi.export("parameter_arns", [each.arn for each in parameters.values()])


def _version(
    secret: secretsmanager.Secret, given: pulumi.Output[str] | None, length: int
) -> secretsmanager.SecretVersion:
    if given is not None:
        return secretsmanager.SecretVersion("value", secret_id=secret.id, secret_string=given)
    letters = string.ascii_letters + string.digits
    generated = "".join(secrets.choice(letters) for _ in range(length))
    return secretsmanager.SecretVersion(
        "value",
        secret_id=secret.id,
        secret_string=pulumi.Output.secret(generated),
        # Generated anew each time the program runs: only the first one counts.
        opts=pulumi.ResourceOptions(ignore_changes=["secretString"]),
    )


def _parameter(key: str, kind: str, value: pulumi.Input[str]) -> ssm.Parameter:
    default = f"/{pulumi.get_project()}/{pulumi.get_stack()}"
    prefix = pulumi.Config().get("prefix", default).rstrip("/")
    return ssm.Parameter(key, name=f"{prefix}/{key}", type=kind, value=value, tags=tags(key))


def _strings(key: str, given: object) -> dict[str, str]:
    given = {} if given is None else given
    if not isinstance(given, Mapping) or not all(isinstance(v, str) for v in given.values()):
        raise ValueError(f"{key} must be a JSON object of strings.")
    return dict(given)
