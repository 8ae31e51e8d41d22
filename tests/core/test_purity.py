"""The core is pure: no module of it imports what reads a clock, a file, a socket or chance."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import weltklassebot.core

ALLOWED = {
    "__future__",
    "abc",
    "bisect",
    "collections",
    "collections.abc",
    "dataclasses",
    "datetime",
    "decimal",
    "itertools",
    "msgspec",
    "msgspec.structs",
    "re",
    "typing",
    "unicodedata",
    "zlib",
    "zoneinfo",
}
MODULES = sorted(Path(weltklassebot.core.__file__).parent.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_module_of_the_core_imports_nothing_impure(path):
    imported: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module or "")
        elif isinstance(node, ast.Attribute):
            assert (
                node.attr not in ("now", "today", "utcnow")
                or not isinstance(node.value, ast.Name)
                or (node.value.id not in ("datetime", "date"))
            )
        elif isinstance(node, ast.Name):
            assert node.id not in ("open", "print", "input", "__import__", "eval", "exec")
    assert {name for name in imported if not name.startswith("weltklassebot.core")} <= ALLOWED
