"""The digest of the code behind a recipe that is not built in: two networks of one name are told apart by it."""

import ast
import functools
import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

from attribution.errors import UserError


@functools.lru_cache
def digest(*callables: Callable) -> str:
    """Hex SHA-256 over names and source of functions or classes, with all that `files` finds.

    Layout, comments, docstrings and the place of it all do not count. Not covered: installed libraries, and values
    that a program sets in a module from outside. Raises UserError as `files` does.
    """
    forms = []
    for value in callables:
        own, *others = files(value)
        places = [(os.path.relpath(file, own.parent), normal_form(parse(file))) for file in others]
        forms.append((value.__qualname__, normal_form(parse(own)), sorted(places)))
    return hashlib.sha256(repr(forms).encode()).hexdigest()


def files(value: Callable) -> list[Path]:
    """The source file of a function or class, then those of its own package, or beside its file, that it imports,
    directly or not. Raises UserError for what is not at the top level of a file: the file alone would not say what it
    is (a lambda, a closure, an object)."""
    module = sys.modules.get(getattr(value, "__module__", None))
    name = getattr(value, "__qualname__", None)
    if name is None or getattr(module, name, None) is not value or not getattr(module, "__file__", None):
        raise UserError(
            f"a recipe's hash covers its source, and {name or f'a {type(value).__name__}'} is no function or class at "
            "the top level of a Python file; write it there"
        )
    file = Path(module.__file__).resolve()
    package = module.__name__ if file.name == "__init__.py" else module.__name__.rpartition(".")[0]
    top = file.parents[package.count(".")]
    root = top.parent if package else top
    queue, known = [file], []
    while queue:
        file = queue.pop()
        if file not in known and file.is_relative_to(top):
            known.append(file)
            queue += _imported(file, root)
    return known


def parse(file: Path) -> ast.Module:
    """The syntax tree of a file. Raises UserError where it cannot be read as Python."""
    try:
        return ast.parse(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError) as error:
        raise UserError(f"{file} cannot be read as Python ({error}); mend it, or put it back") from None


def normal_form(node) -> str:
    """A syntax tree as text, without docstrings, positions and empty fields, so that Python versions agree on it."""
    if isinstance(node, list):
        return f"[{','.join(map(normal_form, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    values = dict(ast.iter_fields(node))
    documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    if documented and ast.get_docstring(node, clean=False) is not None:
        values["body"] = node.body[1:]
    kept = [f"{name}={normal_form(value)}" for name, value in values.items() if value not in (None, [])]
    return f"{type(node).__name__}({','.join(kept)})"


def _imported(file: Path, root: Path) -> list[Path]:
    """The files under `root` that a file imports, wherever in it."""
    stems = []
    for node in ast.walk(parse(file)):
        if isinstance(node, ast.Import):
            stems += [root.joinpath(*alias.name.split(".")) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = file.parents[node.level - 1] if node.level else root
            module = start.joinpath(*(node.module or "").split("."))
            stems += [module, *(module / alias.name for alias in node.names)]
    options = [option for stem in stems for option in (stem.parent / f"{stem.name}.py", stem / "__init__.py")]
    return [option.resolve() for option in options if option.is_file()]
