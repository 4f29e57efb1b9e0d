from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from alma.errors import DefinitionError
from alma.saga.target import absolute, load_saga
from tests.cli.tools import SAGA, names

Write = Callable[..., Path]
Call = Callable[..., Result]

HEAD = "from alma import Saga\n"


def test_a_file_with_one_saga_needs_no_name(write: Write) -> None:
    path = write()
    loaded = load_saga("saga.py")
    assert loaded.saga.name == "shop"
    assert loaded.origin == f"{path}:saga"


def test_a_name_chooses_between_several_sagas(write: Write) -> None:
    write(HEAD + 'one = Saga("one")\ntwo = Saga("two")\n', "two.py")
    assert load_saga("two.py:two").saga.name == "two"


def test_one_saga_under_two_names_is_one(write: Write) -> None:
    write(HEAD + 'saga = alias = Saga("one")\n')
    assert load_saga("saga.py").saga.name == "one"


def test_an_origin_can_be_loaded_again_from_elsewhere(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write()
    origin = load_saga("saga.py").origin
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert load_saga(origin).origin == origin


def test_an_origin_is_told_without_the_way_that_led_to_it(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where `..` of a link leads elsewhere; the file's own name may be that of a link."""
    path = write()
    (tmp_path / "far" / "here").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "far" / "here")
    (tmp_path / "named.py").symlink_to(path)
    monkeypatch.chdir(tmp_path / "far" / "here")
    assert load_saga("../../saga.py").origin == f"{path}:saga"
    assert load_saga("../../link/../../named.py").origin == f"{path.parent}/named.py:saga"
    assert absolute("../../saga.py:one") == f"{path}:one"
    assert load_saga("../../saga.py").saga.file == str(path)


def test_a_module_is_found_from_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "shop_package").mkdir()
    (tmp_path / "shop_package" / "__init__.py").touch()
    (tmp_path / "shop_package" / "names.py").write_text('NAME = "packaged"\n')
    source = HEAD + "from .names import NAME\nsaga = Saga(NAME)\n"
    (tmp_path / "shop_package" / "sagas.py").write_text(source)
    loaded = load_saga("shop_package.sagas:saga")
    assert loaded.saga.name == "packaged"
    assert loaded.origin == "shop_package.sagas:saga"


def test_a_file_can_import_its_neighbours(write: Write, tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "neighbour_of_saga.py").write_text('NAME = "n"\n')
    write(HEAD + "from neighbour_of_saga import NAME\nsaga = Saga(NAME)\n", "below/saga.py")
    assert load_saga("below/saga.py").saga.name == "n"


def test_the_module_is_registered_so_that_it_can_travel_by_value(write: Write) -> None:
    write()
    (module,) = load_saga("saga.py").modules
    assert sys.modules[module.__name__] is module
    assert module.__name__ != "saga"


def test_no_bytecode_is_left_beside_the_file(write: Write, tmp_path: Path) -> None:
    write()
    load_saga("saga.py")
    assert names(tmp_path) == ["saga.py"]


@pytest.mark.parametrize(
    "ending",
    [
        "saga.run()\n",
        "import asyncio\nasyncio.run(saga.execute())\n",
        "try:\n    saga.run()\nexcept Exception:\n    saga = None\n",
        "try:\n    saga.run()\nexcept:\n    pass\n",
        "def main():\n    import asyncio\n    asyncio.run(saga.execute())\nmain()\nboom()\n",
        'if __name__ == "__main__":\n    boom()\n',
    ],
)
def test_a_script_that_runs_its_saga_is_loaded_and_not_run(
    write: Write, tmp_path: Path, ending: str
) -> None:
    write(SAGA + ending)
    assert load_saga("saga.py").saga.name == "shop"
    assert names(tmp_path) == ["saga.py"]


def test_a_saga_made_and_run_in_a_function_is_handed_over(write: Write) -> None:
    path = write(HEAD + 'def main():\n    s = Saga("inner")\n    s.run()\nmain()\n')
    loaded = load_saga("saga.py")
    assert loaded.saga.name == "inner"
    assert loaded.origin == str(path)


BAD = {
    "no such file": ({}, "gone.py", "There is no file gone.py."),
    "no default file": ({}, None, "There is no file saga.py in"),
    "a directory": ({"d/x.py": ""}, "d", "d is a directory."),
    "a directory named as a file": ({"d.py/x": ""}, "d.py", "d.py is a directory."),
    "no such module": ({}, "no_such_module:saga", "no Python module 'no_such_module'"),
    "a built-in module": ({}, "sys:path", "path in sys is of type list, no Saga."),
    "no name": ({"saga.py": HEAD}, "saga.py:", "is no name"),
    "a name that is none": ({"saga.py": HEAD}, "saga.py:a-b", "'a-b'"),
    "a syntax error": ({"saga.py": "x = 1\ndef (:\n"}, None, "saga.py, line 2: invalid syntax"),
    "no text": ({"saga.py": b"\x80\x81"}, None, "saga.py"),
    "null bytes": ({"saga.py": b"a = 1\0"}, None, "null bytes"),
    "an error": (
        {"saga.py": "def f():\n    return 1 / 0\n\nf()\n"},
        None,
        "saga.py, line 2: ZeroDivisionError: division by zero.",
    ),
    "a missing import": (
        {"saga.py": "\nimport no_such_thing\n"},
        None,
        "saga.py, line 2: ModuleNotFoundError: No module named 'no_such_thing'.",
    ),
    "an error in a neighbour": (
        {"saga.py": "import broken_neighbour\n", "broken_neighbour.py": "\n\nraise OSError('x')\n"},
        None,
        "saga.py, line 1: OSError: x (broken_neighbour.py, line 3).",
    ),
    "an exit": ({"saga.py": "import sys\nsys.exit(3)\n"}, None, "saga.py, line 2: it ended by"),
    "an invalid saga": ({"saga.py": HEAD + 'Saga("..")\n'}, None, "saga.py, line 2: '..' cannot"),
    "a saga without steps": ({"saga.py": HEAD + 'saga = Saga("s")\n'}, None, "has no steps"),
    "no saga": ({"saga.py": HEAD}, None, "saga.py has no Saga at module level."),
    "several sagas": (
        {"saga.py": HEAD + 'a = Saga("a")\nb = Saga("b")\n'},
        None,
        "saga.py has several sagas: a, b.",
    ),
    "a name that is not there": (
        {"saga.py": HEAD + 'a = Saga("a")\n'},
        "saga.py:b",
        "saga.py has no b.",
    ),
    "a name that is no saga": (
        {"saga.py": HEAD + 'a = Saga("a")\nb = 3\n'},
        "saga.py:b",
        "b in saga.py is of type int, no Saga.",
    ),
    "nothing": ({"saga.py": ""}, " ", "TARGET is empty."),
}


@pytest.mark.parametrize("command", ["up", "preview", "destroy", "graph"])
@pytest.mark.parametrize("case", BAD)
def test_a_bad_target_is_one_sentence_with_exit_code_2_and_nothing_is_written(
    cli: Call, tmp_path: Path, case: str, command: str
) -> None:
    files, target, sentence = BAD[case]
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    before = listing(tmp_path)
    result = cli(command, *([] if target is None else [target]))
    assert result.exit_code == 2, result.output
    first, *rest = result.stderr.splitlines()
    assert first.startswith("error: ")
    assert sentence in first
    assert len(rest) <= 1
    assert all(line.startswith("hint: ") for line in rest)
    assert not result.stdout
    assert listing(tmp_path) == before


def listing(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if "__pycache__" not in path.parts)


@pytest.mark.parametrize("top", ["", "src/"])
def test_a_file_of_a_package_is_told_how_it_is_called(
    tmp_path: Path, cli: Call, monkeypatch: pytest.MonkeyPatch, top: str
) -> None:
    package = tmp_path / top / "shop"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "parts.py").write_text("NAME = 'shop'\n")
    (package / "saga.py").write_text(
        f"{HEAD}from .parts import NAME\nit = Saga(NAME)\nit.add_step(action=print)\n"
    )
    told = cli("graph", f"{top}shop/saga.py")
    assert told.exit_code == 2
    assert "saga.py, line 2: its relative imports need a package" in told.stderr
    path = ", with PYTHONPATH=src" if top else ""
    assert f"hint: Give it as a module of its package: shop.saga:it{path}.\n" in told.stderr
    monkeypatch.syspath_prepend(str(tmp_path / top))
    assert cli("graph", "shop.saga:it").exit_code == 0


def test_a_file_that_cannot_be_read_is_named(write: Write) -> None:
    path = write()
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user reads every file")
    with pytest.raises(DefinitionError, match="Permission denied"):
        load_saga("saga.py")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "saga.py")
    with pytest.raises(DefinitionError, match="not a regular file"):
        load_saga("saga.py")


def test_nothing_stays_registered_of_a_file_that_failed(write: Write) -> None:
    write("boom\n", "failing_file.py")
    with pytest.raises(DefinitionError):
        load_saga("failing_file.py")
    assert not [name for name in sys.modules if "failing_file" in name]
