"""Who is told of a run: a webhook, a Slack channel, a command. What a user writes of them."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, fields
from typing import Any, Final
from urllib.parse import urlsplit

from alma.core.event_parts import Notifier
from alma.core.notice import KINDS, PREFIX, TROUBLE
from alma.core.secret import Secret, secrets_in
from alma.errors import DefinitionError

_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_LENGTHS: Final = (24, 64)
"""Bytes of a key: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec"""
Held = Mapping[str, Secret]
"""What a saga was given in place of a variable's name: `url`, `secret`."""


@dataclass(frozen=True)
class Webhook:
    """An HTTP endpoint that is sent each notice as JSON, signed as Standard Webhooks has it.

    The URL is a text, which the journal keeps, or a secret: a `Secret`, or in the environment
    variable that `url_env` names. `secret`, or `secret_env`, is the key that signs: 24 to 64 bytes
    in base64, by custom after `whsec_`. `on` are the kinds of notice; `name` tells it from others.
    """

    url: str | Secret = ""
    on: Iterable[str] = TROUBLE
    _: KW_ONLY
    url_env: str = ""
    secret: Secret | None = None
    secret_env: str = ""
    name: str = ""
    kind: str = field(default="webhook", init=False)

    def notifier(self, name: str) -> Notifier:
        """What the journal keeps of it."""
        _check_one(name, "url", self.url, self.url_env)
        if isinstance(self.url, str) and self.url:
            check_url(name, self.url)
        if self.secret is not None and self.secret_env:
            raise _refused(name, "secret and secret_env say the same thing.")
        settings = _without(url=self.url, url_env=self.url_env, secret_env=self.secret_env)
        if self.secret is not None:
            if not isinstance(self.secret, Secret):
                raise _refused(name, "secret must be a Secret.", 'Or secret_env="NAME".')
            key_of(name, self.secret.value)
            settings["secret"] = True
        return _notifier(self.kind, name, self.on, settings)

    def held(self) -> Held:
        """The secrets in it."""
        return {
            what: value
            for what, value in (("url", self.url), ("secret", self.secret))
            if isinstance(value, Secret)
        }


@dataclass(frozen=True)
class Slack:
    """A Slack channel, by the URL of an incoming webhook, which is a secret.

    A `Secret`, or in the environment variable that `url_env` names.
    """

    url: Secret | None = None
    on: Iterable[str] = TROUBLE
    _: KW_ONLY
    url_env: str = ""
    name: str = ""
    kind: str = field(default="slack", init=False)

    def notifier(self, name: str) -> Notifier:
        """What the journal keeps of it."""
        if self.url is not None and not isinstance(self.url, Secret):
            raise _refused(
                name,
                "the URL of a Slack webhook is a secret: who knows it can write there.",
                'Write url_env="SLACK_WEBHOOK_URL", or url=Secret(...).',
            )
        _check_one(name, "url", self.url or "", self.url_env)
        return _notifier(self.kind, name, self.on, _without(url=self.url, url_env=self.url_env))

    def held(self) -> Held:
        """The secret in it."""
        return {"url": self.url} if self.url is not None else {}


@dataclass(frozen=True)
class NotifyCommand:
    """A program that gets each notice as JSON on its stdin; exit code 0 says that it has it."""

    argv: Sequence[str]
    on: Iterable[str] = TROUBLE
    _: KW_ONLY
    name: str = ""
    kind: str = field(default="command", init=False)

    def notifier(self, name: str) -> Notifier:
        """What the journal keeps of it."""
        if any(secrets_in([self.argv])):
            raise _refused(
                name,
                "a secret in a command line is seen by all on the machine.",
                "Have the program read it from the environment.",
            )
        given: Sequence[object] = () if isinstance(self.argv, str) else tuple(self.argv)
        argv = [word for word in given if isinstance(word, str) and word and "\0" not in word]
        if not argv or len(argv) != len(given):
            raise _refused(
                name, "a command is a list of words.", 'For example ["./notify.sh", "ops"].'
            )
        return _notifier(self.kind, name, self.on, {"argv": argv})

    def held(self) -> Held:
        """Nothing."""
        return {}


Notify = Webhook | Slack | NotifyCommand
_KINDS: Final[Mapping[str, Any]] = {
    "webhook": Webhook,
    "slack": Slack,
    "command": NotifyCommand,
}


def checked(saga: str, given: Iterable[object]) -> tuple[tuple[Notifier, Held], ...]:
    """What the journal keeps of each, and its secrets; DefinitionError for what cannot be."""
    where = f'Saga "{saga}": notify'
    several = () if isinstance(given, str | Notify) else tuple(given)
    if not several and given:
        raise DefinitionError(f"{where} must be a list.", hint="Write notify=[Webhook(...)].")
    found: dict[str, tuple[Notifier, Held]] = {}
    for one in several:
        if not isinstance(one, Notify):
            raise DefinitionError(
                f"{where} must hold Webhook, Slack or NotifyCommand, not {type(one).__name__}."
            )
        name = one.name or _free(one.kind, found)
        if not _NAME.fullmatch(str(name)):
            raise DefinitionError(f"{where}: {name!r} cannot be a name.")
        if name in found:
            raise DefinitionError(f'{where}: two are named "{name}".')
        found[name] = (one.notifier(name), one.held())
    return tuple(found.values())


def made_notifier(*, kind: str, **said: Any) -> Notify:
    """As a file in YAML says it: its kind, and what that kind has."""
    found = _KINDS[kind]
    known = {one.name for one in fields(found)} - {"kind"}
    if unknown := sorted(said.keys() - known):
        raise DefinitionError(f"a {kind} has no {unknown[0]}.")
    if kind == "command" and "argv" not in said:
        raise DefinitionError("a command needs argv.")
    made: Notify = found(**said)
    made.notifier(made.name or kind)
    return made


def check_url(name: str, url: str) -> None:
    """Refuse what no request can be sent to, without a word of it: it may be secret."""
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits or re.search(r"[\x00-\x20\x7f]", url):
        raise _refused(name, "its URL is no http or https URL of a host.")
    if "@" in parts.netloc:
        raise _refused(name, "its URL holds a password.", "Take url_env, or a Secret, and no user.")


def key_of(name: str, secret: object) -> bytes:
    """The key of a signing secret; DefinitionError, without a word of it, for what is none."""
    try:
        key = base64.b64decode(str(secret).strip().removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not _LENGTHS[0] <= len(key) <= _LENGTHS[1]:
        raise _refused(
            name,
            "its signing secret is not 24 to 64 bytes in base64.",
            "Make one: echo whsec_$(head -c 32 /dev/urandom | base64)",
        )
    return key


def _notifier(kind: str, name: str, on: Iterable[str], settings: dict[str, Any]) -> Notifier:
    kinds: tuple[object, ...] = (on,) if isinstance(on, str) else tuple(on)
    for one in kinds:
        if not isinstance(one, str) or one not in KINDS:
            raise _refused(name, f"there is no notice {one!r}.", f"There are: {', '.join(KINDS)}.")
    if not kinds:
        raise _refused(name, "it is told of nothing (on is empty).")
    return Notifier(
        name=name, kind=kind, on=tuple(dict.fromkeys(map(str, kinds))), settings=settings
    )


def _check_one(name: str, what: str, value: object, variable: object) -> None:
    if bool(value) == bool(variable):
        raise _refused(name, f"it needs either {what} or {what}_env.")
    if not isinstance(value, str | Secret):
        raise _refused(name, f"its {what} is no text.")


def _without(**said: object) -> dict[str, Any]:
    """Settings as the journal has them: of a secret, only that there is one."""
    found: dict[str, Any] = {}
    for name, value in said.items():
        if isinstance(value, Secret):
            found[name] = True
        elif value:
            found[name] = value
            if name.endswith("_env") and not _VARIABLE.fullmatch(str(value)):
                raise DefinitionError(f"notify: {name} is the name of an environment variable.")
    return found


def _free(kind: str, taken: Mapping[str, object]) -> str:
    number = 1
    while (name := kind if number == 1 else f"{kind}-{number}") in taken:
        number += 1
    return name


def _refused(name: str, message: str, hint: str = "") -> DefinitionError:
    return DefinitionError(f'notify "{name}": {message}', hint=hint)
