"""What is wrong with a saga in YAML is said in a sentence, with its line and column."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from alma.errors import DefinitionError
from alma.saga.target import load_saga

ACTION = "name: s\nsteps:\n  - name: a\n    kind: action\n    action: m:f\n"
LAUGHS = "".join(
    f"x-{name}: &{name} [{', '.join([f'*{of}' if of else 'ha'] * 10)}]\n"
    for of, name in zip(["", *"abcdefgh"], "abcdefghi", strict=True)
)


def step(text: str) -> str:
    return f"{ACTION}    {text}\n"


def given(text: str) -> str:
    return step(f"inputs:\n      x: {text}")


CASES = {
    "the file": [
        ("", " is empty.", "name and steps"),
        ("- a\n", ", line 1, column 1: a saga is a mapping", ""),
        ("name: a\n---\nname: b\n", ", line 2, column 1: no YAML: expected a single document", ""),
        ("name: a\n\tb: c\n", ", line 2, column 1: no YAML: ", "not by tabs"),
        ("name: \x07\n", ", line 1: no YAML: the character ", ""),
        ("name: s\nruntime: go\n", " is a Pulumi project, no saga.", "alma-pulumi init"),
        ("[" * 5000, " is nested too deeply.", ""),
        (f"{LAUGHS}{given('*i')}", "the file has more than 100000 values", ""),
        (given("&a [*a]"), ", line 7, column 10: it is nested more than 100 levels deep", ""),
    ],
    "keys": [
        ("nam: s\n", ", line 1, column 1: a saga has no key nam.", "Did you mean name?"),
        ("name: s\nname: t\n", ", line 2, column 1: name is given twice, in line 1 as well.", ""),
        ("name: s\n", ", line 1, column 1: a saga needs steps.", ""),
        ("name: s\nsteps: {a: b}\n", ", line 2, column 8: steps must be a list.", "- name"),
        ("name: s\nsteps: []\n", ", line 2, column 8: a saga needs a step.", ""),
        ("name: s\nsteps: [a]\n", ", line 2, column 9: a step is a mapping.", ""),
        ("name: s\nsteps:\n- kind: stack\n", ", line 3, column 3: a step needs name.", ""),
        ("name: s\nsteps:\n- name: a\n", ", line 3, column 3: a step needs kind.", "stack, action"),
        ("name: s\nsteps:\n- {name: a, kind: stak}\n", "column 19: stak is no kind", "stack?"),
        ("name: s\nsteps:\n- {name: a, kind: 'x:Y'}\n", "x:Y is no kind", "in Python"),
        (step("timout: 3"), ", line 6, column 5: a step of kind action has no key", "timeout?"),
        (step("retry: {attemps: 3}"), ", line 6, column 13: retry has no key", "attempts?"),
        ("name: s\nsteps:\n- {name: a, kind: action}\n", "a step of kind action needs action.", ""),
        ("name: s\nsteps:\n- {name: a, kind: stack}\n", "has either work_dir or program.", ""),
        ("name: s\nsteps:\n- {name: env, kind: stack}\n", "column 10: a step cannot be named", ""),
    ],
    "values": [
        ("stack: 2024\n" + ACTION, "column 8: stack must be a text, not the number", '"2024"'),
        ("on_failure: undo\n" + ACTION, "must be one of compensate, stop, not the text 'undo'", ""),
        ("aws: {url: x}\n" + ACTION, ", line 1, column 6: 'x' is no URL", "http://"),
        ("parallelism: 0\n" + ACTION, "parallelism must be a whole number of at least 1", ""),
        ("ttl: soon\n" + ACTION, ", line 1, column 6: ttl cannot be 'soon'", '"4h"'),
        (step("timeout: '3'"), ", line 6, column 14: timeout must be a number, not the text", ""),
        (step("timeout: -1"), ', line 6, column 14: Step "a": timeout must be', ""),
        (step("pivot: yes"), "column 12: yes is true to some readers", "Write true"),
        (step("pivot: 1"), "column 12: pivot must be true or false, not the number 1.", ""),
        (step("compensation: undo"), "must be none or a function, written module:function", ""),
        (step("retry: {attempts: 0}"), "column 12: Retry: attempts must be at least 1", ""),
        (step("depends_on: [b]"), ", line 6, column 18: no step is named b.", "a."),
        (step("depends_on: [a]"), "wait for each other: a → a.", ""),
        (ACTION + ACTION.split("steps:\n")[1], ', line 6, column 11: Saga "s" has two steps', ""),
        (given("!!python/object/apply:os.system [ls]"), "column 10: the tag ", "in quotes"),
        (given("!secret x"), "column 10: the tag !secret is not used", "{secret: ...}"),
        (given("on"), "column 10: on is true to some", '"on"'),
        (given("0755"), "column 10: 0755 is a number to some", '"0755"'),
        (given("22:22"), "column 10: 22:22 is a number to some", ""),
        (given("1e3"), "column 10: 1e3 is a number to some", ""),
        (given(".inf"), "column 10: .inf is a number to some", ""),
        (given("{8080: web}"), "column 11: a key is a text, and here it is the number", '"8080"'),
        (given("{? [a] : b}"), "a key is a text, no list", ""),
        (step("<<: 3"), "column 9: << takes a mapping", ""),
    ],
    "references and secrets": [
        (step("inputs: {x: ${b.c}}"), ", line 6, column 18: no YAML: ", "stands in quotes"),
        (given("${b.c}"), "column 10: ${b.c}: no step is named b.", ""),
        (given("${a}"), "${a} names no output.", "${a.NAME}"),
        (given("is ${env.NOPE}"), "column 13: the environment variable NOPE is not set.", ""),
        (given('"is ${params.no}"'), "column 14: ${params.no}: there is no parameter no.", ""),
        (given("${open"), "column 10: a reference begins here, and is none.", "$${"),
        (given("http://${a.b}"), "column 17: ${a.b} is an output of a step", "of its own"),
        (given("[${a.b}]"), "no YAML", "stands in quotes"),
        (given('["${a.b}"]'), "column 12: ${a.b} is an output of a step", "inputs.name"),
        (step("timeout: ${a.b}"), "column 14: ${a.b} is an output of a step", ""),
        (step("timeout: ${inputs.b}"), "no step is named inputs.", "{inputs.b}, without the $"),
        (given("is ${inputs.b}"), "column 13: ${inputs.b} is what the saga is given", "of its own"),
        (given("{secret: hunter22}"), "column 19: a secret stands here in plain", "secret: true"),
    ],
    "parameters": [
        ("params: [a]\n" + ACTION, "column 9: params must be a mapping of names", ""),
        ("params: {a-b: }\n" + ACTION, "column 10: a-b cannot be the name of a parameter", ""),
        ("params: {a: text}\n" + ACTION, "the parameter a must be a mapping", "{type: string}"),
        ("params: {a: {type: int}}\n" + ACTION, "column 20: type must be one of string", ""),
        ("params: {a: {default: 3}}\n" + ACTION, "column 23: the default of a must be a text", ""),
        ("params: {a: {defalt: b}}\n" + ACTION, "column 14: the parameter a has no", "default?"),
        ("params: {a: {secret: true, default: b}}\n" + ACTION, "secret a stands in plain", "@env"),
        ("params: {a: {items: {}}}\n" + ACTION, "has items, and is no array", ""),
        ("params: {a: {type: array, secret: true}}\n" + ACTION, "a secret and no string", "items"),
        ("params: {a: {enum: [b, 3]}}\n" + ACTION, "must all be texts, or all be whole", ""),
        ("params: {a: {minimum: 3}}\n" + ACTION, "minimum is of numbers, and it is a string", ""),
        ("params: {a: {pattern: '['}}\n" + ACTION, "column 23: pattern is no regular", ""),
    ],
}


@pytest.mark.parametrize("about", CASES)
def test_each_fault_is_told_with_its_place_and_a_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, about: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NOPE", raising=False)
    for text, words, hint in CASES[about]:
        Path("saga.yaml").write_text(text)
        with pytest.raises(DefinitionError) as refused:
            load_saga("saga.yaml")
        assert refused.value.message.startswith("saga.yaml")
        assert words in refused.value.message, text
        assert hint in refused.value.hint, text
        assert "hunter22" not in f"{refused.value.message}{refused.value.hint}"


def test_what_is_no_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder.yaml").mkdir()
    os.mkfifo("pipe.yaml")
    Path("large.yaml").write_bytes(b"#" * 1024 * 1025)
    Path("latin.yaml").write_bytes(b"name: shop\nstack: \xe9\n")
    for target, words in {
        "none.yaml": "There is no file none.yaml.",
        "folder.yaml": "folder.yaml is a directory.",
        "pipe.yaml": "pipe.yaml is not a regular file.",
        "large.yaml": "large.yaml is larger than 1024 KiB",
        "latin.yaml": "latin.yaml, line 2: it is no UTF-8 text.",
        "none.yml:shop": "none.yml is one saga, and has no shop.",
    }.items():
        with pytest.raises(DefinitionError) as refused:
            load_saga(target)
        assert words in refused.value.message
