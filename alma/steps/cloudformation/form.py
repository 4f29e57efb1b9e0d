"""How a CloudFormation stack is written in YAML."""

from __future__ import annotations

from typing import Final

from alma.steps.form import Either, Form, Key, Named, Place, Several, Text, Values

FORM: Final = Form(
    add="add_cloudformation",
    about="A CloudFormation stack: made by a change set, deleted or put back by the undo.",
    keys={
        "template": Key(
            Either((Values(), Place())), "The template: a path, or what is in it.", required=True
        ),
        "parameters": Key(
            Values(outputs=True), "The template's parameters, outputs of other steps among them."
        ),
        "capabilities": Key(Several(Text()), "What the template may do: CAPABILITY_IAM, ..."),
        "stack_name": Key(Text(), "The stack's name; else SAGA-STACK-STEP."),
        "tags": Key(Values(), "Tags of the stack: texts."),
        "role_arn": Key(Text(), "The role that CloudFormation takes on."),
        "region": Key(Text(), "The AWS region, else that of the environment."),
        "profile": Key(Text(), "The profile of the AWS configuration."),
        "endpoint": Key(Text(), "The URL of CloudFormation, where it is not AWS's own."),
        "secret_outputs": Key(Several(Text()), "Outputs that are secrets."),
        "compensation": Key(
            Either((Text(choices=("destroy", "retain")), Named())),
            "How it is undone. A function is called before the undo.",
        ),
    },
)
