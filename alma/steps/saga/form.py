"""How a saga that is a step of another one is written in YAML."""

from __future__ import annotations

from typing import Final

from alma.steps.form import Either, Form, Key, Named, Place, Several, Text, Values, Whole

FORM: Final = Form(
    add="add_saga",
    about="A whole saga as one step: a run of its own, undone as a whole.",
    keys={
        "saga": Key(
            Either((Named(), Place())),
            "A saga's file (.yaml), or a function that returns a Saga, called once a run needs it.",
            required=True,
        ),
        "for_each": Key(
            Several(Text(), outputs=True),
            "One saga for each of these names: a list, or an output of another step that is one.",
        ),
        "item": Key(Text(), "With for_each: the parameter of the file that is each name."),
        "at_once": Key(Whole(), "How many of them are under way at a time."),
        "params": Key(Values(), "Parameters of the file."),
    },
    common=("inputs", "depends_on", "retry", "compensation_retry", "pivot"),
)
