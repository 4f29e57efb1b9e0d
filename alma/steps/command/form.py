"""How a command is written in YAML."""

from __future__ import annotations

from typing import Final

from alma.steps.form import Either, Flag, Form, Key, Place, Several, Text, Whole

_COMMAND: Final = Either((Several(Text()), Text()))
_CODES: Final = Either((Whole(), Several(Whole())))

FORM: Final = Form(
    add="add_command",
    about="A command, undone by another one.",
    keys={
        "do": Key(
            _COMMAND,
            "The command that does it: a list of arguments, or a text with shell: true.",
            required=True,
        ),
        "undo": Key(_COMMAND, "What undoes it; none says that there is nothing to undo."),
        "check": Key(_COMMAND, "Ends with 0 where it is there, with 1 where it is not."),
        "shell": Key(Flag(), "The commands are texts for /bin/sh."),
        "work_dir": Key(
            Place(), "The directory they run in; else that of the file.", otherwise="."
        ),
        "inputs_by": Key(
            Text(choices=("environment", "stdin")),
            "How they are given the inputs: as variables, or as JSON on stdin.",
        ),
        "already": Key(_CODES, "Exit codes of do that say that it was there already."),
        "gone": Key(_CODES, "Exit codes of undo and check that say that it is not there."),
        "secret_outputs": Key(Several(Text()), "Outputs that are secrets."),
    },
)
