"""How requests to an HTTP API are written in YAML."""

from __future__ import annotations

from typing import Final

from alma.steps.form import (
    Anything,
    Either,
    Form,
    Key,
    Named,
    Record,
    Several,
    Text,
    Values,
    Whole,
)
from alma.steps.http.request import Request

REQUEST: Final = Record(
    title="request",
    make=Request,
    keys={
        "method": Key(Text(), "GET, POST, PUT, ...", required=True),
        "url": Key(
            Text(),
            "`{inputs.name}` and, in undo and check, `{outputs.name}` are filled in, as in any "
            "text of a request.",
            required=True,
        ),
        "json": Key(Anything(), "The body."),
        "headers": Key(Values(), "Headers; secret of themselves, but for the harmless ones."),
        "params": Key(Values(), "The query."),
        "expect": Key(
            Either((Whole(), Several(Whole()), Values())),
            "What shows that it was done: a status or several, or fields of the JSON answer.",
        ),
    },
)

_ASKED: Final = Either((REQUEST, Named()))

FORM: Final = Form(
    add="add_http",
    about="A request to an HTTP API, undone by another one.",
    keys={
        "do": Key(
            _ASKED, "The request that does it, or a function that returns one.", required=True
        ),
        "undo": Key(
            Either((REQUEST, Text(choices=("none",)), Named())),
            "The request that undoes it; none says that there is nothing to undo.",
        ),
        "check": Key(_ASKED, "Asked after the undo: answered 404 or 410, it is undone."),
        "existed": Key(_ASKED, "Asked before: unless answered 404 or 410, it was there before."),
        "secret_outputs": Key(Several(Text()), "Outputs that are secrets."),
    },
)
