"""How a Terraform root module is written in YAML."""

from __future__ import annotations

from typing import Final

from alma.steps.form import Either, Form, Key, Named, Place, Text, Values

FORM: Final = Form(
    add="add_terraform",
    about="A Terraform or OpenTofu root module: applied, and undone by destroy.",
    keys={
        "work_dir": Key(Place(), "The directory of the root module.", required=True),
        "variables": Key(Values(), "Its variables. Outputs of other steps stand under inputs."),
        "program": Key(
            Either((Text(pattern="^[^/]+$"), Place())),
            "The CLI, by name or path; else terraform or tofu, whichever is on PATH.",
        ),
        "workspace": Key(Text(), "The workspace, which is made where there is none."),
        "compensation": Key(
            Either((Text(choices=("destroy", "retain")), Named())),
            "How it is undone. A function is called before the destroy.",
        ),
    },
)
