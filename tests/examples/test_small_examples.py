from __future__ import annotations

from tests.examples.conftest import Place


def test_single_stack_goes_up_and_down(place: Place) -> None:
    """One stack alone; its password is not shown."""
    ended = place.python("single_stack.py")
    assert ended.returncode == 0, ended.stderr
    assert "COMPLETED: sqlite:////" in ended.stdout
    assert "password: [secret]" in ended.stdout
    assert place.alma("destroy", "single_stack.py")["state"] == "COMPLETED"
    assert place.left() == []
    assert place.held() == {"single-stack-database": 0}


def test_yaml_project_consumes_the_outputs_of_an_inline_step(place: Place) -> None:
    """What is made of a secret input by a project in another language is a secret as well."""
    ended = place.python("yaml_project.py")
    assert ended.returncode == 0, ended.stderr
    outputs = place.alma("status")["outputs"]
    assert outputs["settings"]["login"] == "[secret]"
    assert outputs["database"]["url"] in outputs["settings"]["settings"]
    assert place.alma("destroy", "yaml_project.py")["state"] == "COMPLETED"
    assert place.left() == []
    assert place.held() == {"yaml-project-database": 0, "yaml-project-settings": 0}
