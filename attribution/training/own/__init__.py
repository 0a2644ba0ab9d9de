"""Recipes of the user's own: a class in a Python file, or a command. A person named each of them on this machine.

The registry, `recipes/registry.json` in the data folder, says where each was named. Every version that was ever used is
kept beside it as a snapshot, `recipes/<hash>/`, with the bytes that its hash covers: workers load that, never the file
itself, so that what is edited meanwhile is another recipe with results of its own. Nothing here imports a user's file;
a process of its own does (`describe`), and workers do.
"""

import re
import shlex
import time
from dataclasses import asdict, replace
from pathlib import Path

from attribution.errors import UserError
from attribution.files import change_json, locked, read_json, write_json
from attribution.inputs.limits import check_whole
from attribution.own_code import packages
from attribution.own_code.process import describe
from attribution.own_code.snapshots import check_source_names, hash_of, read_files, write_files
from attribution.own_code.snapshots import is_place as is_place
from attribution.own_code.snapshots import split_place as split_place
from attribution.training.own.recipe import PATIENCE as PATIENCE
from attribution.training.own.recipe import OwnRecipe as OwnRecipe
from attribution.training.own.recipe import at as at
from attribution.training.own.recipe import digests as digests
from attribution.training.own.recipe import from_json, recipes_folder, with_problem
from attribution.training.own.recipe import pack as pack
from attribution.training.own.recipe import unpack as unpack
from attribution.training.own.recipe import versions as versions

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
MAX_VERSION, MAX_THREADS = 10**9, 1024


def names() -> list[str]:
    """The names of the user's recipes: those that a person named, and those of installed packages."""
    known = [name for name, entry in _registry().items() if entry["form"] != "package"]
    return sorted({*known, *(name for name in packages.offered("recipe") if _is_free(name))})


def get(name: str) -> OwnRecipe | None:
    """The recipe `name` as its files are now; None where there is none.

    Where they cannot be used now (a mistake in the file, or it is gone) it is the last version, and says the `problem`.
    """
    entry = _registry().get(name)
    if entry is None or entry["form"] == "package":
        return _get_of_package(name, entry)
    known = at(name, entry["hash"])
    try:
        found = digests(Path(known.folder), known.files)
    except UserError as error:
        return with_problem(known, str(error))
    if found == dict(known.files):
        return known
    if error := _failures.get((name, *sorted(found.items()))):
        return with_problem(known, error)
    try:
        if known.form == "file":
            return add(f"{Path(known.folder) / known.main}:{known.object}", replace=name)
        return _register(known)
    except UserError as error:
        _failures[(name, *sorted(found.items()))] = str(error)
        return with_problem(known, str(error))


def _get_of_package(name: str, entry: dict | None) -> OwnRecipe | None:
    """As `get`, of a recipe that an installed package offers. entry: the registry's, where it was used before."""
    offer = packages.offered("recipe").get(name)
    if offer is None or not _is_free(name):
        return None
    last = at(name, entry["hash"]) if entry else OwnRecipe(name, "", "package")
    key: tuple = ()
    try:
        if offer.problem:
            raise UserError(offer.problem)
        found = digests(offer.root, offer.files())
        key = (name, *sorted(found.items()))
        if entry and found == dict(last.files) and last.folder == str(offer.root):
            return last
        if key in _failures:
            return with_problem(last, _failures[key])
        described = describe(
            "attribution.training.own.describe",
            offer.root / offer.main,
            [str(offer.root / offer.main), offer.object, str(offer.root)],
        )
        return _register(_checked(described, "package", offer.root, offer.main, offer.object, list(found), name))
    except UserError as error:
        if key:
            _failures[key] = str(error)
        return with_problem(last, str(error))


def _is_free(name: str) -> bool:
    try:
        return bool(_check_name(name))
    except UserError:
        return False


_failures: dict[tuple, str] = {}  # what could not be imported is not imported again until it changes


def add(place: str, replace: str | None = None) -> OwnRecipe:
    """Registers the class that `place`, "FILE:CLASS", names. replace: the name of a recipe that may have been there.

    Raises UserError where there is no such class, where it lacks what a recipe needs, and where another recipe has its
    name.
    """
    file, object_ = split_place(place)
    described = describe("attribution.training.own.describe", file, [str(file), object_])
    sources = check_source_names(described["sources"], file.parent)
    made = _checked(described, "file", file.parent, file.name, object_, [file.name, *sources], replace)
    if offer := packages.offered("recipe").get(made.name):
        raise UserError(f"the package {offer.distribution} has a recipe called {made.name}; give this one another name")
    return _register(made)


def _checked(
    described: dict, form: str, folder: Path, main: str, object_: str, files: list[str], name: str | None
) -> OwnRecipe:
    """The recipe that describes itself so, without its hash. name: what it has to be called, None for any."""
    recipe = OwnRecipe(
        name=_check_name(described["name"]),
        hash="",
        form=form,
        version=check_whole(described["version"], "version", 0, MAX_VERSION),
        threads=check_whole(described["threads"], "threads", 1, MAX_THREADS),
        main=main,
        object=object_,
        folder=str(folder),
        files=dict.fromkeys(files, ""),
        optional=tuple(described["optional"]),
        optimizer=described["optimizer"],
        deterministic=described["deterministic"],
        patience=_check_patience(described["patience"]),
    )
    if name not in (None, recipe.name):
        again = "add it again under that name" if form == "file" else "its author has to give both one name"
        raise UserError(f"{folder / main} now calls its recipe {recipe.name}, not {name}; {again}")
    return recipe


def add_command(
    name: str,
    command: str,
    folder: Path,
    sources: list[str],
    version: int = 1,
    threads: int = 1,
    patience: float = PATIENCE,
) -> OwnRecipe:
    """Registers a command that trains, run in `folder`; "{job}" in it stands for the folder with the task.

    sources: files in `folder` whose bytes belong to the hash. Raises UserError as `add` does.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UserError(f"the command cannot be read ({error}); quote it as for a shell") from None
    if not words or not any("{job}" in word for word in words):
        raise UserError(
            'the command has to name the folder of its task; write {job} in it, as in "python train.py --job {job}"'
        )
    return _register(
        OwnRecipe(
            name=_check_name(name),
            hash="",
            form="command",
            version=check_whole(version, "--version", 0, MAX_VERSION),
            threads=check_whole(threads, "--threads", 1, MAX_THREADS),
            command=command,
            folder=str(folder.resolve()),
            files=dict.fromkeys(check_source_names(sources, folder.resolve()), ""),
            patience=_check_patience(patience),
        )
    )


def remove(name: str) -> None:
    """Forgets where recipe `name` is; its versions and results stay. Raises UserError where there is none."""
    if _registry().get(name, {}).get("form") == "package" or name not in _registry() and name in names():
        raise UserError(f"the recipe {name} comes with an installed package; take that out with pip")
    if name not in _registry():
        raise UserError(f"no recipe of yours is called {name!r}; there is {', '.join(names()) or 'none'}")
    change_json(
        recipes_folder() / "registry.json",
        lambda content: {key: entry for key, entry in content.items() if key != name},
    )


def _register(recipe: OwnRecipe) -> OwnRecipe:
    """Takes the snapshot of a recipe as its files are now, and writes it into the registry."""
    contents = read_files(Path(recipe.folder), recipe.files)
    identity = {
        key: getattr(recipe, key) for key in ("name", "version", "form", "object", "main", "command", "threads")
    }
    digest, covered = hash_of(identity, contents)
    made = replace(recipe, hash=digest, files=covered, created=time.time(), problem="")
    registry, home = recipes_folder() / "registry.json", recipes_folder() / digest
    with locked(recipes_folder()):
        content = _registry()
        other = content.get(made.name)
        moved = other and other["form"] == made.form == "package"  # into another environment
        where = other and (other["folder"], other["main"], other["object"], other["form"])
        if other and not moved and where != _where(made):
            raise UserError(
                f"a recipe called {made.name} is there already, from {other['folder']}; give this one another name, or "
                f"take that one out with: python -m attribution recipe remove {made.name}"
            )
        if not (home / "recipe.json").exists():
            write_files(home / "files", contents)
            write_json(home / "recipe.json", asdict(made))  # the last: without it there is no such version
        else:
            made = from_json(read_json(home / "recipe.json"), made.name)
            if made.folder != recipe.folder or made.command != recipe.command:  # it was named again elsewhere
                made = replace(made, folder=recipe.folder)
                write_json(home / "recipe.json", asdict(made))
        entry = dict(zip(("folder", "main", "object", "form"), _where(made)))
        write_json(registry, content | {made.name: {**entry, "hash": made.hash}})
    return made


def _where(recipe: OwnRecipe) -> tuple[str, str, str, str]:
    return recipe.folder, recipe.main, recipe.object, recipe.form


def _registry() -> dict[str, dict]:
    try:
        file = recipes_folder() / "registry.json"
    except UserError:  # there is no data folder, and so nothing in it
        return {}
    try:
        content = read_json(file, "add your recipes again")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    if not isinstance(content, dict) or not all(
        isinstance(entry, dict) and "hash" in entry for entry in content.values()
    ):
        raise UserError(f"{file} is no list of recipes; remove it, and add your recipes again")
    return content


def _check_name(name) -> str:
    from attribution.training.recipes import NAMES

    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise UserError(f"{name!r} cannot name a recipe; take letters, digits, dots and dashes, at most 64")
    if name in NAMES or name.startswith("head-"):
        raise UserError(f"a recipe called {name} is built in; give yours another name")
    return name


def _check_patience(value) -> float:
    if not isinstance(value, (int, float)) or not 0 < value < 1e6:
        raise UserError(f"patience {value!r} is no number of minutes; give one above 0")
    return float(value)
