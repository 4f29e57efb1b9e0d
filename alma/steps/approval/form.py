"""How an approval is written in YAML."""

from __future__ import annotations

from typing import Final

from alma.steps.form import Form, Key, Several, Text

FORM: Final = Form(
    add="add_approval",
    about="The run waits here until somebody has agreed to what comes after it.",
    keys={"approvers": Key(Several(Text()), "Who may approve it.", required=True)},
    common=("depends_on", "timeout"),
)
