"""How an Ansible playbook is written in YAML."""

from __future__ import annotations

from typing import Final

from alma.steps.form import Either, Form, Key, Place, Several, Text, Values

FORM: Final = Form(
    add="add_ansible",
    about="An Ansible playbook, undone by another one.",
    keys={
        "playbook": Key(Place(), "The playbook that does it.", required=True),
        "undo_playbook": Key(Place(), "The playbook that undoes it."),
        "inventory": Key(
            Either((Text(pattern=","), Place())),
            "A file, a directory, or hosts with a comma; else what Ansible's own settings say.",
        ),
        "variables": Key(Values(), "Extra variables of both playbooks."),
        "secret_outputs": Key(Several(Text()), "Outputs that are secrets."),
        "optional_hosts": Key(Several(Text()), "Patterns of plays that may match no host."),
    },
)
