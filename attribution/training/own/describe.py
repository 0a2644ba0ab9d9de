"""The process that imports a user's recipe to ask what it is called; nothing else in Lineup but a worker does that."""

import sys
import traceback
from pathlib import Path
from types import ModuleType

from attribution.errors import UserError
from attribution.files import write_json
from attribution.training.own.recipe import OPTIONAL, PATIENCE

REQUIRED = ("setup", "fit", "logits")


def main(file: Path, object_: str, answer: Path) -> None:
    """Writes what class `object_` of `file` says of itself, or {"error": a sentence}, as JSON into `answer`."""
    try:
        write_json(answer, describe(file, object_))
    except UserError as error:
        write_json(answer, {"error": str(error)})


def describe(file: Path, object_: str) -> dict:
    """{"name", "version", "threads", "sources", "optional", "deterministic", "patience"} of a class. Raises UserError
    where it is no recipe, and where it imports a file of its folder that is not in its sources."""
    recipe = load_class(file, object_)
    if missing := [method for method in REQUIRED if not callable(getattr(recipe, method, None))]:
        raise UserError(f"{object_} in {file} has no method {missing[0]}; a recipe has {', '.join(REQUIRED)}")
    if not hasattr(recipe, "name"):
        raise UserError(f'{object_} in {file} has no name; give it one: name, version, threads = "mine", 1, 1')
    sources = list(getattr(recipe, "sources", ()))
    for name in imported_files(file.parent):
        if name not in (file.name, *map(str, sources)):
            raise UserError(
                f"{file.name} imports {name}, which is not among its sources; write it there, so that the hash covers "
                f"it: sources = {[*map(str, sources), name]}"
            )
    return {
        "name": recipe.name,
        "version": getattr(recipe, "version", 1),
        "threads": getattr(recipe, "threads", 1),
        "sources": sources,
        "optional": [method for method in OPTIONAL if callable(getattr(recipe, method, None))],
        "deterministic": bool(getattr(recipe, "deterministic", False)),
        "patience": getattr(recipe, "patience", PATIENCE),
    }


def load_class(file: Path, object_: str) -> type:
    """The class `object_` of a file, which is imported with its folder first in the path. Raises UserError where the
    file cannot be imported, or has no such class."""
    sys.path.insert(0, str(file.parent))
    module = ModuleType(file.stem)
    module.__file__ = str(file)
    sys.modules[file.stem] = module
    try:
        exec(compile(file.read_bytes(), str(file), "exec"), module.__dict__)
    except BaseException as error:
        traceback.print_exc()
        raise UserError(f"{file} cannot be imported ({type(error).__name__}: {_one_line(error)}); mend it") from None
    found = getattr(module, object_, None)
    if not isinstance(found, type):
        classes = [name for name, value in vars(module).items() if isinstance(value, type) and hasattr(value, "fit")]
        raise UserError(f"{file} has no class {object_}; it has {', '.join(classes) or 'none with a method fit'}")
    return found


def imported_files(folder: Path) -> list[str]:
    """The files that modules were imported from with `folder` in the path, relative to it; not those of an environment
    in it, nor what a library has written there."""
    found = set()
    for name, module in list(sys.modules.items()):
        path = Path(getattr(module, "__file__", None) or "/").resolve()
        inside = path.is_relative_to(folder) and not path.is_relative_to(Path(sys.prefix).resolve())
        if inside and not {"site-packages", "dist-packages"} & set(path.parts):
            inner = path.relative_to(folder)
            if inner.with_suffix("").parts[0] == name.partition(".")[0]:
                found.add(inner.as_posix())
    return sorted(found)


def _one_line(error: BaseException) -> str:
    return (str(error).splitlines() or ["without a word"])[0][:300]


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
