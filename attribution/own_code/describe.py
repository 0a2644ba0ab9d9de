"""The process that imports a user's ranking, feature extractor, detector, format or data set to ask what it says of
itself."""

import sys
from pathlib import Path

from attribution.errors import UserError
from attribution.files import write_json
from attribution.own_code.loading import check_sources, load_class, load_object

#: Kind -> methods that its class has to have, the one that tells it from other classes first.
REQUIRED = {"ranking": ("scores",), "detector": ("scores",), "format": ("load",)}
#: Kind that is a function -> what it is a function of, for errors.
CALLED_WITH = {"features": " of the weights' path and device", "dataset": " that returns two datasets"}
#: What a class may say of itself.
TEXTS, FLAGS = ("description", "method"), ("signed", "conditioned", "uses_val")


def main(kind: str, file: Path, answer: Path, object_: str, root: Path | None = None) -> None:
    """Writes what `object_` of `file` says of itself, or {"error": a sentence}, as JSON into `answer`. root: the folder
    with the package, of a file of an installed one."""
    try:
        write_json(answer, describe(kind, file, object_, root))
    except UserError as error:
        write_json(answer, {"error": str(error)})


def describe(kind: str, file: Path, object_: str, root: Path | None = None) -> dict:
    """{"name", "version", "sources", "about"} of an object. Raises UserError where it is none of its kind, and where it
    imports a file of its folder that is not in its sources."""
    if kind in CALLED_WITH:
        found = load_object(file, object_, root)
        if not callable(found):
            raise UserError(f"{object_} in {file} cannot be called; make it a function{CALLED_WITH[kind]}")
        name = object_.lower().strip("_")
    else:
        required = REQUIRED[kind]
        found, name = load_class(file, object_, root, required[0]), None
        if missing := [method for method in required if not callable(getattr(found, method, None))]:
            raise UserError(f"{object_} in {file} has no method {missing[0]}; a {kind} has one")
    name = getattr(found, "name", name)
    if name is None:
        raise UserError(f'{object_} in {file} has no name; give it one: name, version = "mine", 1')
    sources = getattr(found, "sources", ())
    if root is None:
        check_sources(file, list(sources))
    about = {key: getattr(found, key) for key in (*TEXTS, "patience") if hasattr(found, key)}
    about |= {key: bool(getattr(found, key)) for key in FLAGS if hasattr(found, key)}
    about["uses"] = list(getattr(found, "uses", ()))
    about["has"] = [method for method in ("setup", "suggestions") if callable(getattr(found, method, None))]
    version = getattr(found, "version", 1)
    return {"name": name, "version": version, "sources": list(sources), "about": _plain(about)}


def _plain(value):
    """`value` as JSON has it; what it has not, as text."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else repr(value)


if __name__ == "__main__":
    kind, file, answer, object_, *root = sys.argv[1:]
    main(kind, Path(file), Path(answer), object_, *map(Path, root))
