from __future__ import annotations

import json

import pytest

from tests.examples.conftest import Place

pytestmark = pytest.mark.lives


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


def test_a_feature_flag_is_put_back(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind of step that alma has never heard of, defined in the saga's own file."""
    flags = place.directory / "flags.json"
    flags.write_text('{"new-checkout": false, "other": true}')
    (step, _) = place.alma("preview", "feature_flag.py")["steps"]
    assert (step["what"], step["changes"]) == ("set new-checkout to True", {"update": 1})
    assert step["undo"] == "set new-checkout to False again"
    monkeypatch.setenv("FAIL", "1")
    assert place.python("feature_flag.py").returncode == 4
    assert json.loads(flags.read_text()) == {"new-checkout": False, "other": True}
    monkeypatch.delenv("FAIL")
    assert place.python("feature_flag.py").returncode == 0
    assert json.loads(flags.read_text()) == {"new-checkout": True, "other": True}
    assert place.alma("status")["steps"][0]["kind"] == "feature_flag.py:FeatureFlag"
    assert place.alma("destroy", "feature_flag.py")["state"] == "COMPLETED"
    assert json.loads(flags.read_text()) == {"other": True}
