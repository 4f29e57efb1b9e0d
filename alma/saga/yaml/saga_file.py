"""A saga's file in YAML: its parameters first, and the saga once they are given.

Nothing is executed and nothing is imported: what it names by a path (`module:function`) is
imported when a run, or a preview, needs it.
"""

from __future__ import annotations

from collections.abc import Mapping as Map
from pathlib import Path
from typing import Any

from msgspec import Struct

from alma.core.redaction import Redactor
from alma.core.ttl import read_ttl
from alma.errors import DefinitionError
from alma.saga.arguments import place_of
from alma.saga.parameters import Parameter, as_json
from alma.saga.saga import Saga
from alma.saga.yaml.inner import SAGA as INNER
from alma.saga.yaml.inner import add_inner
from alma.saga.yaml.mappings import entries
from alma.saga.yaml.nodes import (
    Mapping,
    Node,
    Scalar,
    Sequence,
    Source,
    compose,
    nearest,
    read_source,
)
from alma.saga.yaml.params import read_params
from alma.saga.yaml.reader import Reader
from alma.saga.yaml.references import RESERVED, Scope
from alma.saga.yaml.tables import EXTRA, KIND, PARAMS, SAGA, STEPS, keys_of
from alma.steps.form import Form
from alma.steps.registry import KINDS, find_kind


class SagaFile(Struct, frozen=True, kw_only=True):
    """A file that was read as far as nobody has to be asked."""

    source: Source
    path: Path
    node: Mapping
    keys: Map[str, tuple[Node, Node]]
    parameters: tuple[Parameter, ...]
    within: tuple[str, ...] = ()
    """The files that it is a part of, the outermost first."""

    def saga(self, values: Map[str, Any], redact: Redactor, read: int = 0) -> Saga:
        """The saga; DefinitionError, without a secret, in the line that is wrong.

        `read` are the values that the files around it have.
        """
        self.source.read = read
        given = {one.name: as_json(values.get(one.name, one.default)) for one in self.parameters}
        scope = Scope(source=self.source, parameters=given)
        try:
            return _made(self, scope)
        except DefinitionError as error:
            redact.learn(scope.secrets)
            raise DefinitionError(redact(error.message), hint=redact(error.hint)) from error


def open_file(where: str, within: tuple[str, ...] = ()) -> SagaFile:
    """What the file says of itself; DefinitionError, in one sentence, for what is wrong with it."""
    path = place_of(where)
    source = Source(name=where, directory=path.parent)
    node = compose(source, read_source(where, path))
    keys = entries(source, node)
    known = [*SAGA, PARAMS, STEPS]
    for name, (key_node, _) in keys.items():
        if name in known or name.startswith(EXTRA):
            continue
        if "runtime" in keys:
            raise DefinitionError(
                f"{where} is a Pulumi project, no saga.",
                hint="`alma-pulumi init` writes a saga of the projects below a directory.",
            )
        raise source.error(key_node, f"a saga has no key {name}.", nearest(name, known))
    said = keys.get(PARAMS)
    parameters = read_params(source, said[1] if said else None)
    return SagaFile(
        source=source, path=path, node=node, keys=keys, parameters=parameters, within=within
    )


def _made(file: SagaFile, scope: Scope) -> Saga:
    source = file.source
    steps = file.keys.get(STEPS)
    if steps is None:
        raise source.error(file.node, "a saga needs steps.", "Write it as a list of steps.")
    scope.steps = [_name(scope, one) for one in _list(source, steps[1])]
    reader = Reader(scope)
    arguments = {
        key.argument or name: reader.read(key.shape, file.keys[name][1], name, 1)
        for name, key in SAGA.items()
        if name in file.keys
    }
    if "name" not in arguments:
        raise source.error(file.node, "a saga needs name.")
    if "ttl" in arguments:
        said = file.keys["ttl"][1]
        arguments["ttl"] = reader.made(said, lambda: read_ttl("ttl", arguments["ttl"]))
    at = file.keys["stack" if "stack" in file.keys else "name"][1]
    saga: Saga = reader.made(at, lambda: Saga(**arguments))
    saga.file = str(file.path)
    scope.owner = saga
    for one in _list(source, steps[1]):
        _add(file, saga, reader, one)
    reader.made(steps[1], saga.definition)
    return saga


def _list(source: Source, node: Node) -> list[Node]:
    if not isinstance(node, Sequence):
        raise source.error(node, "steps must be a list.", "Each begins with `- name: ...`.")
    if not node.value:
        raise source.error(node, "a saga needs a step.")
    found: list[Node] = node.value
    return found


def _name(scope: Scope, node: Node) -> str:
    """Of a step, before any of them is read: they may refer to each other."""
    if not isinstance(node, Mapping):
        raise scope.source.error(node, "a step is a mapping.", "It has a name and a kind.")
    found = entries(scope.source, node).get("name")
    if found is None:
        raise scope.source.error(node, "a step needs name.")
    name = Reader(scope).read(SAGA["name"].shape, found[1], "name", 2)
    if name in RESERVED:
        raise scope.source.error(
            found[1], f"a step cannot be named {name}: ${{{name}...}} means another thing."
        )
    return str(name)


def _add(file: SagaFile, saga: Saga, reader: Reader, node: Node) -> None:
    """One step, by the method of `Saga` that its kind's form names."""
    form, keys, arguments = read_step(reader, node)
    if INNER in arguments:
        add_inner(file, reader, keys, arguments, open_file)
    try:
        getattr(saga, form.add)(**arguments)
    except DefinitionError as error:
        # What a step is told by `Step "name": key ...` is told where the key stands.
        word = error.message.removeprefix(f'Step "{arguments["name"]}": ').partition(" ")[0]
        place = keys.get(word.rstrip(":"), keys["name"])[1]
        raise reader.source.error(place, error.message, error.hint) from error


def read_step(
    reader: Reader, node: Node
) -> tuple[Form, Map[str, tuple[Node, Node]], dict[str, Any]]:
    """Its kind's form, its nodes by key, and what the form's method is given."""
    source = reader.source
    found = entries(source, node) if isinstance(node, Mapping) else {}
    if KIND not in found:
        raise source.error(node, "a step needs kind.", f"One of: {', '.join(KINDS)}.")
    at = found[KIND][1]
    kind = reader.scope.value(at) if isinstance(at, Scalar) else None
    form = find_kind(kind).form if kind in KINDS else None
    if form is None:
        hint = nearest(str(kind), KINDS)
        if ":" in str(kind):
            hint = "A kind of your own is code: such a saga is written in Python."
        raise source.error(at, f"{kind} is no kind of step.", hint)
    arguments = reader.record(node, keys_of(form), f"a step of kind {kind}", 1)
    given = [name for name in form.one_of if name in found]
    if form.one_of and len(given) != 1:
        place = found[given[1]][0] if given else node
        ways = " or ".join(form.one_of)
        raise source.error(place, f"a step of kind {kind} has either {ways}.")
    del arguments[KIND]
    return form, found, arguments
