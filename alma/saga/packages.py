"""A file that imports its neighbours relatively is a part of a package: how it is called then."""

from __future__ import annotations

import ast
import os
import shlex
from pathlib import Path


def module_hint(path: Path, source: str) -> str:
    """What to give as TARGET in place of the file, in a sentence; empty if it has none such.

    The packages above it are those with an `__init__.py`, and as many as its imports go up.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return ""
    levels = [node.level for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    if not (highest := max(levels, default=0)):
        return ""
    parts, root = [path.stem], path.parent
    while len(parts) <= highest or (root / "__init__.py").is_file():
        if root.parent == root:
            return ""
        parts.insert(0, root.name)
        root = root.parent
    if not all(part.isidentifier() for part in parts):
        return f"Its folder {path.parent.name!r} cannot be a package: import what it needs by name."
    target = ".".join(parts) + _saga_in(tree)
    search = os.path.relpath(root)
    with_path = "" if search == "." else f", with PYTHONPATH={shlex.quote(search)}"
    return f"Give it as a module of its package: {target}{with_path}."


def _saga_in(tree: ast.Module) -> str:
    """`:saga`, what the file calls its saga; empty if that cannot be seen."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            made = node.value.func
            name = made.attr if isinstance(made, ast.Attribute) else getattr(made, "id", "")
            if name == "Saga" and isinstance(node.targets[0], ast.Name):
                return f":{node.targets[0].id}"
    return ""
