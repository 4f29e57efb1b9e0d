"""Steps by other tools than Pulumi. Each kind is loaded with the first step of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

from alma.saga.arguments import chosen
from alma.saga.steps import Steps
from alma.steps.step import StepOptions

if TYPE_CHECKING:
    from alma.steps.ansible.step import AnsibleStep
    from alma.steps.cloudformation.step import CloudFormationCompensation, CloudFormationStep
    from alma.steps.command.argv import Command
    from alma.steps.command.step import CommandStep, InputsBy
    from alma.steps.http.request import Asked
    from alma.steps.http.step import HttpStep
    from alma.steps.terraform.step import TerraformCompensation, TerraformStep


class ToolSteps(Steps):
    """As `Steps`, and a method for each tool."""

    def add_terraform(
        self,
        name: str,
        work_dir: str | Path,
        *,
        variables: Mapping[str, Any] | None = None,
        program: str = "",
        workspace: str = "",
        compensation: TerraformCompensation = "destroy",
        **options: Unpack[StepOptions],
    ) -> TerraformStep:
        """Add a Terraform root module: applied as it is, with its own backend.

        `workspace` is made where there is none; without one it is the directory's selected one.
        `variables` and `inputs` become its variables; its outputs are the step's, a sensitive
        one a `Secret`. `program` is the CLI: a name or a path, else `ALMA_TERRAFORM`, else
        terraform or tofu, whichever is on PATH. Resources that the state held before the run are
        never destroyed. A callable `compensation` is called before the destroy.
        """
        from alma.steps.terraform.step import TerraformStep

        return self.add(
            TerraformStep(
                name=name,
                work_dir=Path(work_dir),
                variables=variables or {},
                program=program,
                workspace=workspace,
                compensation=compensation,
                **chosen(options),
            )
        )

    def add_ansible(
        self,
        name: str,
        playbook: str | Path,
        *,
        undo_playbook: str | Path | None = None,
        inventory: str | Path | None = None,
        variables: Mapping[str, Any] | None = None,
        secret_outputs: Iterable[str] = (),
        optional_hosts: Iterable[str] = (),
        **options: Unpack[StepOptions],
    ) -> AnsibleStep:
        """Add an Ansible playbook, and the one that undoes it.

        `variables` and `inputs` become extra variables of both. `inventory` is a file, a
        directory, or hosts with a comma ("localhost,"); else what Ansible's own settings say. The
        outputs are what the playbook says by `set_stats`; those in `secret_outputs` are
        `Secret`s. Both playbooks must be idempotent. Without an undo the step is a leftover. A play
        whose pattern matches no host is a failure, unless `optional_hosts` has the pattern.
        """
        from alma.steps.ansible.step import AnsibleStep

        return self.add(
            AnsibleStep(
                name=name,
                playbook=Path(playbook),
                undo_playbook=None if undo_playbook is None else Path(undo_playbook),
                inventory=inventory,
                variables=variables or {},
                secret_outputs=secret_outputs,
                optional_hosts=optional_hosts,
                **chosen(options),
            )
        )

    def add_http(
        self,
        name: str,
        *,
        do: Asked,
        undo: Asked | Literal["none"] | None = None,
        check: Asked | None = None,
        existed: Asked | None = None,
        secret_outputs: Iterable[str] = (),
        **options: Unpack[StepOptions],
    ) -> HttpStep:
        """Add a request to an HTTP API, and the one that undoes it: `Request`s, or callables.

        A callable takes nothing or a `Context`, and returns a `Request`. Each is sent with an
        `Idempotency-Key`, the same for each retry and resume. The fields of the JSON answer are
        the outputs; those in `secret_outputs` are `Secret`s. Where `undo` is answered 404 or 410
        it is gone already. `check` is asked after the undo, and must be answered so. `existed` is
        asked before `do`: unless it is answered 404 or 410, what was there is not undone. `undo` is
        "none" or None as an action's compensation is.
        """
        from alma.steps.http.step import HttpStep

        return self.add(
            HttpStep(
                name=name,
                do=do,
                undo=undo,
                check=check,
                existed=existed,
                secret_outputs=secret_outputs,
                **chosen(options),
            )
        )

    def add_command(
        self,
        name: str,
        *,
        do: Command,
        undo: Command | None = None,
        check: Command | None = None,
        shell: bool = False,
        work_dir: str | Path | None = None,
        inputs_by: InputsBy = "environment",
        already: int | Iterable[int] = (),
        gone: int | Iterable[int] = (),
        secret_outputs: Iterable[str] = (),
        **options: Unpack[StepOptions],
    ) -> CommandStep:
        """Add a command, the one that undoes it, and the one that says whether it is there.

        Each is a list of arguments; with `shell=True` a text for /bin/sh. They are run in
        `work_dir`, else in the working directory. The inputs are variables of their environment,
        or JSON on stdin with `inputs_by="stdin"`. What `do` writes to the file that ALMA_OUTPUT
        names (JSON, or key=value lines) are the outputs; those in `secret_outputs` are `Secret`s.
        `check` ends with 0 where it is there, with 1 where it is not. `already` are exit codes of
        `do` that say that it was there and is not changed; `gone` those of `undo` and `check` that
        say that it is not there. `undo` is "none" or None as an action's compensation is.
        """
        from alma.steps.command.step import CommandStep

        return self.add(
            CommandStep(
                name=name,
                do=do,
                undo=undo,
                check=check,
                shell=shell,
                work_dir=work_dir,
                inputs_by=inputs_by,
                already=already,
                gone=gone,
                secret_outputs=secret_outputs,
                **chosen(options),
            )
        )

    def add_cloudformation(
        self,
        name: str,
        template: str | Path | Mapping[str, Any],
        *,
        parameters: Mapping[str, Any] | None = None,
        capabilities: Iterable[str] = (),
        stack_name: str | None = None,
        tags: Mapping[str, str] | None = None,
        role_arn: str = "",
        region: str = "",
        profile: str = "",
        endpoint: str = "",
        secret_outputs: Iterable[str] = (),
        compensation: CloudFormationCompensation = "destroy",
        **options: Unpack[StepOptions],
    ) -> CloudFormationStep:
        """Add a CloudFormation stack: a change set is made of the `template`, and executed.

        The `template` is a path, a text or a dict. `parameters` and `inputs` become its parameters,
        outputs of other steps among them; those that it declares with NoEcho are `Secret`s, and so
        is an output that holds one, or is in `secret_outputs`. The stack is called
        `<saga>-<stack>-<step>`, or `stack_name`. Where it is: `region`, `profile` and `endpoint`,
        else the saga's LocalStack, else as boto3 finds it. A stack that was there before is put
        back to its template and parameters. A callable `compensation` is called before the undo.
        """
        from alma.steps.cloudformation.step import CloudFormationStep, split
        from alma.steps.cloudformation.step import stack_name as named

        given, inputs = split(parameters or {}, options.get("inputs"))
        return self.add(
            CloudFormationStep(
                name=name,
                template=template,
                stack_name=named(self.name, self.stack, name) if stack_name is None else stack_name,
                parameters=given,
                capabilities=capabilities,
                tags=tags or {},
                role_arn=role_arn,
                region=region,
                profile=profile,
                endpoint=endpoint,
                secret_outputs=secret_outputs,
                compensation=compensation,
                **chosen({**options, "inputs": inputs}),
            )
        )
