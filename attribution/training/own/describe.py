"""The process that imports a user's recipe to ask what it is called; nothing else in Lineup but a worker does that."""

import sys
from pathlib import Path

from attribution.errors import UserError
from attribution.files import write_json
from attribution.own_code.loading import check_sources, load_class
from attribution.training.own.recipe import OPTIONAL, PATIENCE

REQUIRED = ("setup", "fit", "logits")


def main(file: Path, object_: str, answer: Path, root: Path | None = None) -> None:
    """Writes what class `object_` of `file` says of itself, or {"error": a sentence}, as JSON into `answer`. root: the
    folder with the package, of a file of an installed one."""
    try:
        write_json(answer, describe(file, object_, root))
    except UserError as error:
        write_json(answer, {"error": str(error)})


def describe(file: Path, object_: str, root: Path | None = None) -> dict:
    """{"name", "version", "threads", "sources", "optional", "optimizer", "deterministic", "patience"} of a class.
    Raises UserError where it is no recipe, and where it imports a file of its folder that is not in its sources."""
    recipe = load_class(file, object_, root)
    if missing := [method for method in REQUIRED if not callable(getattr(recipe, method, None))]:
        raise UserError(f"{object_} in {file} has no method {missing[0]}; a recipe has {', '.join(REQUIRED)}")
    if not hasattr(recipe, "name"):
        raise UserError(f'{object_} in {file} has no name; give it one: name, version, threads = "mine", 1, 1')
    sources = list(getattr(recipe, "sources", ()))
    if root is None:
        check_sources(file, sources)
    return {
        "name": recipe.name,
        "version": getattr(recipe, "version", 1),
        "threads": getattr(recipe, "threads", 1),
        "sources": sources,
        "optional": [method for method in OPTIONAL if callable(getattr(recipe, method, None))],
        "optimizer": str(getattr(recipe, "optimizer", "sgd"))[:64],
        "deterministic": bool(getattr(recipe, "deterministic", False)),
        "patience": getattr(recipe, "patience", PATIENCE),
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), *map(Path, sys.argv[4:]))
