"""The JSON Schema of a saga in YAML, made of the tables that files are read by.

Of draft 7, which editors know. A value that is or holds a reference fits everywhere: what it
stands for is known only where the file is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import singledispatch
from typing import Any, Final

from alma.saga.yaml.params import KEYS, NESTED
from alma.saga.yaml.tables import EXTRA, KIND, PARAMS, SAGA, STEPS, forms, keys_of
from alma.steps.form import (
    IMPORTED,
    Either,
    Flag,
    Form,
    Key,
    Named,
    Number,
    Place,
    Record,
    Several,
    Shape,
    StepName,
    Text,
    Values,
    Whole,
)

VERSION: Final = 1
"""Of the language: another one where what was right would be wrong, or mean another thing."""
ID: Final = f"urn:alma-pulumi:schema:saga:{VERSION}"

Schema = dict[str, Any]

_REFERENCE: Final[Schema] = {"$ref": "#/definitions/reference"}


def saga_schema() -> Schema:
    """The whole, for all kinds of step."""
    steps = {kind: _step(kind, form) for kind, form in forms().items()}
    entry = {**_record(NESTED), "description": "What an entry is."}
    parameter = _record(KEYS)
    parameter["properties"]["items"] = {"$ref": "#/definitions/entry"}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": ID,
        "title": "A saga of alma-pulumi",
        "type": "object",
        "properties": {
            **_properties(SAGA),
            PARAMS: {
                "description": "Parameters, by name: given by -p name=value.",
                "type": "object",
                "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
                "additionalProperties": {
                    "anyOf": [{"$ref": "#/definitions/parameter"}, {"type": "null"}]
                },
            },
            STEPS: {
                "description": "The steps: each follows the one before it, unless it says else.",
                "type": "array",
                "minItems": 1,
                "items": {"$ref": "#/definitions/step"},
            },
        },
        "patternProperties": {f"^{EXTRA}": {"description": "Your own: a place for anchors."}},
        "additionalProperties": False,
        "required": ["name", STEPS],
        "definitions": {
            "reference": {
                "description": "A value with ${params.name}, ${env.NAME} or ${step.output}.",
                "type": "string",
                "pattern": r"\$\{",
            },
            "parameter": parameter,
            "entry": entry,
            "step": {
                "type": "object",
                "properties": {KIND: {"enum": list(steps)}},
                "required": [KIND],
                "allOf": [
                    {
                        "if": {"properties": {KIND: {"const": kind}}, "required": [KIND]},
                        "then": {"$ref": f"#/definitions/{kind}"},
                    }
                    for kind in steps
                ],
            },
            **steps,
            **_records(key for form in forms().values() for key in keys_of(form).values()),
            **_records(SAGA.values()),
        },
    }


def _step(kind: str, form: Form) -> Schema:
    found = _record(keys_of(form))
    found["properties"][KIND] = {"const": kind, "description": form.about}
    if form.one_of:
        found["oneOf"] = [{"required": [name]} for name in form.one_of]
    return {"description": form.about, **found}


def _record(keys: Mapping[str, Key]) -> Schema:
    return {
        "type": "object",
        "properties": _properties(keys),
        "additionalProperties": False,
        "required": [name for name, key in keys.items() if key.required],
    }


def _properties(keys: Mapping[str, Key]) -> Schema:
    found = {}
    for name, key in keys.items():
        said = _schema(key.shape)
        # Beside a $ref nothing counts, so it is put into a list of one.
        whole = {"allOf": [said]} if "$ref" in said else said
        found[name] = {"description": key.about, **whole}
    return found


def _records(keys: Any) -> Schema:
    """The mappings with keys of their own, by their titles."""
    found: Schema = {}
    for key in keys:
        for shape in key.shape.of if isinstance(key.shape, Either) else (key.shape,):
            shape = shape.of if isinstance(shape, Several) else shape  # noqa: PLW2901
            if isinstance(shape, Record):
                found[shape.title] = _record(shape.keys)
                found |= _records(shape.keys.values())
    return found


@singledispatch
def _schema(shape: Shape) -> Schema:  # noqa: ARG001 - of anything that has no row below
    return {}


@_schema.register
def _(shape: Text) -> Schema:
    if shape.choices:
        return {"anyOf": [{"enum": list(shape.choices)}, _REFERENCE]}
    if shape.pattern:
        return {"anyOf": [{"type": "string", "pattern": shape.pattern}, _REFERENCE]}
    return {"type": "string"}


@_schema.register
def _(shape: Whole) -> Schema:  # noqa: ARG001
    return {"anyOf": [{"type": "integer"}, _REFERENCE]}


@_schema.register
def _(shape: Number) -> Schema:  # noqa: ARG001
    return {"anyOf": [{"type": "number"}, _REFERENCE]}


@_schema.register
def _(shape: Flag) -> Schema:  # noqa: ARG001
    return {"anyOf": [{"type": "boolean"}, _REFERENCE]}


@_schema.register
def _(shape: Place | StepName) -> Schema:  # noqa: ARG001
    return {"type": "string", "minLength": 1}


@_schema.register
def _(shape: Named) -> Schema:  # noqa: ARG001
    return {"anyOf": [{"type": "string", "pattern": IMPORTED}, _REFERENCE]}


@_schema.register
def _(shape: Values) -> Schema:  # noqa: ARG001
    return {"anyOf": [{"type": "object"}, _REFERENCE]}


@_schema.register
def _(shape: Several) -> Schema:
    return {"anyOf": [{"type": "array", "items": _schema(shape.of)}, _REFERENCE]}


@_schema.register
def _(shape: Either) -> Schema:
    return {"anyOf": [_schema(one) for one in shape.of]}


@_schema.register
def _(shape: Record) -> Schema:
    return {"$ref": f"#/definitions/{shape.title}"}
