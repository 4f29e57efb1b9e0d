"""An extension of griffe, which reads the code for the page of the public names.

It knows dataclasses and no `msgspec.Struct`. A struct is made of its fields in the same way.
"""

from __future__ import annotations

from typing import Any

from griffe import Attribute, Class, Extension, Function, Parameter, ParameterKind, Parameters


class Structs(Extension):
    """Give each struct the `__init__` that msgspec makes for it."""

    def on_class_members(self, *, cls: Class, **_: Any) -> None:
        """Make it of the fields, once all of them are known."""
        if not any(str(base) == "Struct" for base in cls.bases):
            return
        by_name = "kw_only" in cls.keywords
        kind = ParameterKind.keyword_only if by_name else ParameterKind.positional_or_keyword
        fields = [
            Parameter(name, annotation=field.annotation, kind=kind, default=field.value)
            for name, field in cls.members.items()
            if isinstance(field, Attribute) and "ClassVar" not in str(field.annotation)
        ]
        start = Parameter("self", kind=ParameterKind.positional_or_keyword)
        made = Function("__init__", parameters=Parameters(start, *fields), returns="None")
        cls.set_member("__init__", made)
