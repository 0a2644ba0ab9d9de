"""Imports a user's file; nothing but processes that are there for it may call this (a test holds who does)."""

import importlib
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from attribution.errors import UserError
from attribution.files import ROOT


def load_object(file: Path, object_: str, root: Path | None = None) -> Any:
    """The object `object_` of a file; see `import_file`. Raises UserError where it has no such object, too."""
    found = getattr(import_file(file, root), object_, None)
    if found is None:
        raise UserError(f"{file} has no {object_}; check the name")
    return found


def load_class(file: Path, object_: str, root: Path | None = None, method: str = "fit") -> type:
    """The class `object_` of a file; see `import_file`. method: what tells the classes that are meant from others.
    Raises UserError where it has no such class, too."""
    module = import_file(file, root)
    found = getattr(module, object_, None)
    if not isinstance(found, type):
        classes = [name for name, value in vars(module).items() if isinstance(value, type) and hasattr(value, method)]
        known = ", ".join(classes) or f"none with a method {method}"
        raise UserError(f"{file} has no class {object_}; it has {known}")
    return found


def import_file(file: Path, root: Path | None = None) -> ModuleType:
    """A file as a module, imported with its folder first in the path; of an installed package's file as the module that
    it is, with `root`, the folder with the package, first in the path. Raises UserError where it cannot be imported."""
    sys.path.insert(0, str(root or file.parent))
    try:
        return _import_module(file, root) if root else _import_file(file)
    except BaseException as error:
        traceback.print_exc()
        raise UserError(f"{file} cannot be imported ({type(error).__name__}: {one_line(error)}); mend it") from None


def module_name(file: Path, root: Path | None) -> str:
    """What a file is imported as: by its own name, or as part of the package in `root`."""
    parts = file.relative_to(root).with_suffix("").parts if root else (file.stem,)
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


def imported_files(folder: Path) -> list[str]:
    """The files that modules were imported from with `folder` in the path, relative to it; not Lineup's own, nor those
    of an environment in it, nor what a library has written there."""
    found, library = set(), ROOT / "attribution"
    for name, module in list(sys.modules.items()):
        path = Path(getattr(module, "__file__", None) or "/").resolve()
        others = path.is_relative_to(library) or path.is_relative_to(Path(sys.prefix).resolve())
        inside = path.is_relative_to(folder) and not others
        if inside and not {"site-packages", "dist-packages"} & set(path.parts):
            inner = path.relative_to(folder)
            if inner.with_suffix("").parts[0] == name.partition(".")[0]:
                found.add(inner.as_posix())
    return sorted(found)


def check_sources(file: Path, sources: list) -> None:
    """Raises UserError where a file that was imported is neither `file` nor among its sources."""
    for name in imported_files(file.parent):
        if name not in (file.name, *map(str, sources)):
            raise UserError(
                f"{file.name} imports {name}, which is not among its sources; write it there, so that the hash covers "
                f"it: sources = {[*map(str, sources), name]}"
            )


def one_line(error: BaseException) -> str:
    """What an exception says, its first line."""
    return (str(error).splitlines() or ["without a word"])[0][:300]


def _import_file(file: Path) -> ModuleType:
    module = ModuleType(file.stem)
    module.__file__ = str(file)
    sys.modules[file.stem] = module
    exec(compile(file.read_bytes(), str(file), "exec"), module.__dict__)
    return module


def _import_module(file: Path, root: Path) -> ModuleType:
    module = importlib.import_module(module_name(file, root))
    found = Path(module.__file__ or "/").resolve()
    if found != file.resolve():  # a library of Lineup's, imported before, bears that name
        raise ImportError(f"{found} is imported in its place")
    return module
