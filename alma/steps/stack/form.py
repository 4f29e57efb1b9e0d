"""How a Pulumi stack is written in YAML."""

from __future__ import annotations

from typing import Final

from alma.steps.form import Either, Form, Key, Named, Place, Text, Values

FORM: Final = Form(
    add="add_stack",
    about="A Pulumi stack: a project in a directory, or a program.",
    one_of=("work_dir", "program"),
    keys={
        "work_dir": Key(Place(), "The directory of a Pulumi project, in any language."),
        "program": Key(Named(), "A function that is the program, in Python."),
        "project": Key(Text(), "The project's name; else that of its Pulumi.yaml, or saga-step."),
        "config": Key(Values(), "The stack's config. Outputs of other steps stand under inputs."),
        "compensation": Key(
            Either((Text(choices=("destroy", "restore", "retain")), Named())),
            "How it is undone. A function is called before the destroy, to drain or to empty.",
        ),
        "resolver": Key(Named(), "A function that says what became of a create that was cut off."),
        "existed": Key(Named(), "A function that returns the ids of what is there already."),
    },
)
