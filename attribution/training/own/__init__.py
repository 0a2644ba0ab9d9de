"""Recipes of the user's own: a class in a Python file, or a command. A person named each of them on this machine.

The registry, `recipes/registry.json` in the data folder, says where each was named. Every version that was ever used is
kept beside it as a snapshot, `recipes/<hash>/`, with the bytes that its hash covers: workers load that, never the file
itself, so that what is edited meanwhile is another recipe with results of its own. Nothing here imports a user's file;
a process of its own does (`describe`), and workers do.
"""

import hashlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path, PurePosixPath

from attribution.errors import UserError
from attribution.files import (
    change_json,
    locked,
    python_path,
    read_bytes,
    read_json,
    write_atomically,
    write_json,
)
from attribution.inputs.limits import check_whole
from attribution.training.own.recipe import MAX_SOURCE, from_json, recipes_folder, with_problem
from attribution.training.own.recipe import PATIENCE as PATIENCE
from attribution.training.own.recipe import OwnRecipe as OwnRecipe
from attribution.training.own.recipe import at as at
from attribution.training.own.recipe import digests as digests
from attribution.training.own.recipe import pack as pack
from attribution.training.own.recipe import unpack as unpack
from attribution.training.own.recipe import versions as versions

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
DESCRIBE_SECONDS = 120  # that a file may take to be imported: torch takes some
MAX_VERSION, MAX_THREADS = 10**9, 1024
TAIL = 2000  # characters of output that an error shows


def names() -> list[str]:
    """The names of the user's recipes."""
    return sorted(_registry())


def get(name: str) -> OwnRecipe | None:
    """The recipe `name` as its files are now; None where there is none.

    Where they cannot be used now (a mistake in the file, or it is gone) it is the last version, and says the `problem`.
    """
    entry = _registry().get(name)
    if entry is None:
        return None
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


_failures: dict[tuple, str] = {}  # what could not be imported is not imported again until it changes


def add(place: str, replace: str | None = None) -> OwnRecipe:
    """Registers the class that `place`, "FILE:CLASS", names. replace: the name of a recipe that may have been there.

    Raises UserError where there is no such class, where it lacks what a recipe needs, and where another recipe has its
    name.
    """
    file, object_ = split_place(place)
    described = _describe(file, object_)
    sources = _check_sources(described["sources"], file.parent)
    recipe = OwnRecipe(
        name=_check_name(described["name"]),
        hash="",
        form="file",
        version=check_whole(described["version"], "version", 0, MAX_VERSION),
        threads=check_whole(described["threads"], "threads", 1, MAX_THREADS),
        main=file.name,
        object=object_,
        folder=str(file.parent),
        files=dict.fromkeys([file.name, *sources], ""),
        optional=tuple(described["optional"]),
        deterministic=described["deterministic"],
        patience=_check_patience(described["patience"]),
    )
    if replace not in (None, recipe.name):
        raise UserError(f"{file} now calls its recipe {recipe.name}, not {replace}; add it again under that name")
    return _register(recipe)


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
            files=dict.fromkeys(_check_sources(sources, folder.resolve()), ""),
            patience=_check_patience(patience),
        )
    )


def remove(name: str) -> None:
    """Forgets where recipe `name` is; its versions and results stay. Raises UserError where there is none."""
    if name not in _registry():
        raise UserError(f"no recipe of yours is called {name!r}; there is {', '.join(names()) or 'none'}")
    change_json(
        recipes_folder() / "registry.json",
        lambda content: {key: entry for key, entry in content.items() if key != name},
    )


def split_place(place: str) -> tuple[Path, str]:
    """ "~/train.py:Mine" -> the file's resolved path and "Mine". Raises UserError where it is not of that form."""
    text, _, object_ = place.rpartition(":")
    file = Path(text or place).expanduser()
    if not text or not object_.isidentifier():
        raise UserError(f"{place} names no class in a file; write it as FILE:CLASS, such as train.py:Mine")
    if not file.is_file():
        raise UserError(f"there is no file {file}; check the path")
    return file.resolve(), object_


def is_place(name: str) -> bool:
    """Whether a name that a person gave on the command line means a class in a file."""
    return ":" in name or name.endswith(".py")


def _register(recipe: OwnRecipe) -> OwnRecipe:
    """Takes the snapshot of a recipe as its files are now, and writes it into the registry."""
    folder = Path(recipe.folder)
    contents = {name: read_bytes(folder / name, MAX_SOURCE) for name in recipe.files}
    covered = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    identity = {
        key: getattr(recipe, key) for key in ("name", "version", "form", "object", "main", "command", "threads")
    }
    digest = hashlib.sha256(json.dumps({**identity, "files": covered}, sort_keys=True).encode()).hexdigest()[:12]
    made = replace(recipe, hash=digest, files=covered, created=time.time(), problem="")
    registry, home = recipes_folder() / "registry.json", recipes_folder() / digest
    with locked(recipes_folder()):
        content = _registry()
        other = content.get(made.name)
        if other and (other["folder"], other["main"], other["object"], other["form"]) != _where(made):
            raise UserError(
                f"a recipe called {made.name} is there already, from {other['folder']}; give this one another name, or "
                f"take that one out with: python -m attribution recipe remove {made.name}"
            )
        if not (home / "recipe.json").exists():
            for name, body in contents.items():
                write_atomically(home / "files" / name, lambda stream, body=body: stream.write(body))
            write_json(home / "recipe.json", asdict(made))  # the last: without it there is no such version
        else:
            made = from_json(read_json(home / "recipe.json"), made.name)
            if made.folder != recipe.folder or made.command != recipe.command:  # it was named again elsewhere
                made = replace(made, folder=recipe.folder)
                write_json(home / "recipe.json", asdict(made))
        where = dict(zip(("folder", "main", "object", "form"), _where(made)))
        write_json(registry, content | {made.name: {**where, "hash": made.hash}})
    return made


def _where(recipe: OwnRecipe) -> tuple[str, str, str, str]:
    return recipe.folder, recipe.main, recipe.object, recipe.form


def _registry() -> dict[str, dict]:
    try:
        content = read_json(recipes_folder() / "registry.json", "add your recipes again")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    if not isinstance(content, dict) or not all(
        isinstance(entry, dict) and "hash" in entry for entry in content.values()
    ):
        raise UserError(
            f"{recipes_folder() / 'registry.json'} is no list of recipes; remove it, and add your recipes again"
        )
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


def _check_sources(sources, folder: Path) -> list[str]:
    if not isinstance(sources, (list, tuple)) or not all(isinstance(name, str) for name in sources):
        raise UserError('sources is no list of file names; write it as ["model.py", "config.yaml"]')
    checked = []
    for name in sources:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise UserError(f"{name!r} of the recipe's sources is not in its folder {folder}; move it there")
        if not (folder / path).is_file():
            raise UserError(f"{name!r} of the recipe's sources is not in {folder}; check the name")
        checked.append(str(path))
    return list(dict.fromkeys(checked))


def _describe(file: Path, object_: str) -> dict:
    """What the class says of itself, asked by a process of its own. Raises UserError where it cannot be had."""
    with tempfile.TemporaryDirectory() as folder:
        answer, output = Path(folder) / "answer.json", Path(folder) / "output.txt"
        with output.open("wb") as stream:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "attribution.training.own.describe", str(file), object_, str(answer)],
                cwd=folder,
                env={
                    **os.environ,
                    "PYTHONPATH": python_path(),
                },
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
            try:
                process.wait(DESCRIBE_SECONDS)
            except subprocess.TimeoutExpired:
                raise UserError(
                    f"{file} did not end its import within {DESCRIBE_SECONDS} s; move what takes long into setup or fit"
                ) from None
            finally:
                try:
                    os.killpg(process.pid, signal.SIGKILL)  # what it has started, too
                except ProcessLookupError:
                    pass
                process.wait()
        try:
            described = read_json(answer)
        except FileNotFoundError:
            tail = output.read_bytes()[-TAIL:].decode(errors="replace").strip().splitlines()
            raise UserError(
                f"{file} ended while it was imported ({tail[-1] if tail else 'without a word'}); mend it"
            ) from None
    if "error" in described:
        raise UserError(described["error"])
    return described
