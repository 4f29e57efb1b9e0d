"""The keys of a saga's file, and of a step in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from alma.core.definition import LocalStack
from alma.core.notice import KINDS as KINDS_OF_NOTICE
from alma.saga.notify import made_notifier
from alma.steps.form import (
    COMMON,
    Anything,
    Either,
    Form,
    Key,
    Named,
    Number,
    Record,
    Several,
    Text,
    Whole,
)
from alma.steps.http.form import REQUEST
from alma.steps.registry import KINDS, find_kind

STEPS: Final = "steps"
PARAMS: Final = "params"
KIND: Final = "kind"
EXTRA: Final = "x-"
"""How a key of one's own begins: a place for anchors, which alma reads past."""

SAGA: Final[Mapping[str, Key]] = {
    "name": Key(Text(), "The saga's name.", required=True),
    "stack": Key(Text(), "The name of the stacks: dev, prod, ..."),
    "organization": Key(Text(), "Of the stacks in Pulumi Cloud."),
    "backend": Key(
        Text(), "The URL of Pulumi's state, where neither a project nor the environment says it."
    ),
    "secrets_provider": Key(Text(), "What encrypts the secrets of stacks that are made anew."),
    "parallelism": Key(Whole(), "How many steps may be under way at once."),
    "on_failure": Key(
        Text(choices=("compensate", "stop")), "Undo all that has started, or leave it to look at."
    ),
    "ttl": Key(Text(), "How long what is brought up is to stay: 30m, 4h, 2d; or none."),
    "aws": Key(
        Record(
            title="localstack",
            make=LocalStack,
            keys={
                "url": Key(Text(), "Where it listens."),
                "region": Key(Text(), "The region that resources are made in."),
            },
        ),
        "The LocalStack that AWS steps go to.",
    ),
    "notify": Key(
        Several(
            Record(
                title="notifier",
                make=made_notifier,
                keys={
                    "kind": Key(
                        Text(choices=("webhook", "slack", "command")),
                        "What is told.",
                        required=True,
                    ),
                    "name": Key(Text(), "By which it is told from others."),
                    "events": Key(
                        Several(Text(choices=tuple(KINDS_OF_NOTICE))),
                        "Of what it is told.",
                        argument="on",
                    ),
                    "url": Key(Anything(), "Of a webhook, where notices go; or {secret: ...}."),
                    "url_env": Key(Text(), "The environment variable that holds the URL."),
                    "secret": Key(Anything(), "The key that signs, as {secret: ...}."),
                    "secret_env": Key(Text(), "The environment variable that holds the key."),
                    "argv": Key(Several(Text()), "Of a command, its words."),
                },
            )
        ),
        "Who is told of its runs.",
    ),
}
"""Beside `params` and `steps`."""

STEP: Final[Mapping[str, Key]] = {
    "name": Key(Text(), "The step's name, by which others refer to it.", required=True),
    KIND: Key(Text(), "What the step is.", required=True),
}
"""Beside those of every kind, and of its own."""

READY: Final[Mapping[str, Key]] = {
    "ready": Key(
        Either((REQUEST, Several(Text()), Text(choices=("no-drift",)), Named())),
        "What must hold once it is done, else it has failed: a request, a command, a function, or "
        "no-drift.",
    ),
    "ready_timeout": Key(Number(), "Seconds until it must hold."),
    "ready_interval": Key(Number(), "Seconds between two questions."),
}
"""Of every kind: here, as a request is another kind's."""


def forms() -> dict[str, Form]:
    """By kind, how its steps are written; loads all kinds."""
    found = {kind: find_kind(kind).form for kind in KINDS}
    return {kind: form for kind, form in found.items() if form is not None}


def keys_of(form: Form) -> dict[str, Key]:
    """All keys of a step of this form."""
    common = {**COMMON, **READY}
    return {**STEP, **form.keys, **{name: common[name] for name in form.common or common}}
