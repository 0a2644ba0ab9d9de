"""One version of a recipe of the user's own, and the snapshot of its files."""

import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

from attribution.errors import UserError
from attribution.files import data_folder, read_json
from attribution.own_code.snapshots import digests as digests
from attribution.own_code.snapshots import read_files

PATIENCE = 10.0  # minutes that a training may report nothing
OPTIONAL = ("features", "module", "inputs", "save", "load", "trajectory")  # methods that a recipe may have


@dataclass(frozen=True)
class OwnRecipe:
    """One version of a recipe of the user's own.

    hash: first 12 hex digits of the SHA-256 over name, version, object or command, threads and the bytes of `files`
    (name in its folder -> SHA-256). form: "file", "package" (an installed one's) or "command"; main: the file with the
    class `object`; folder: where it was named, or where the package lies. optional: those of OPTIONAL that it has.
    optimizer: what its `trajectory` goes down by, "sgd" where it does not say.
    deterministic: whether the seed changes nothing. patience: minutes that a training may report nothing. created:
    seconds since 1970. problem: why it cannot train now, or "".
    """

    name: str
    hash: str
    form: str
    version: int = 1
    threads: int = 1
    main: str = ""
    object: str = ""
    command: str = ""
    folder: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    optional: tuple[str, ...] = ()
    optimizer: str = "sgd"
    deterministic: bool = False
    patience: float = PATIENCE
    created: float = 0.0
    problem: str = ""

    kind = "own"
    epochs = 0  # it says itself how far it is

    @property
    def snapshot(self) -> Path:
        """The folder with the bytes that the hash covers."""
        return recipes_folder() / self.hash / "files"

    @property
    def can_keep(self) -> bool:
        """Whether its models can be kept in files: by its `save` and its `load`."""
        return {"save", "load"} <= set(self.optional)

    @property
    def not_unrolled(self) -> str:
        """Why Unrolled cannot go back through its training, "" where it may: a sentence without a full stop."""
        for method, gives in (("trajectory", "yields its steps"), ("module", "gives its torch network")):
            if method not in self.optional:
                return f"{self.name} has no method {method}, which {gives}; see docs/own_model.md"
        if self.optimizer.lower() != "sgd":
            return (
                f"{self.name} trains by {self.optimizer}, and Unrolled goes back through stochastic gradient descent "
                "with momentum alone"
            )
        return self.problem

    @property
    def place(self) -> str:
        """Where it was named: "/home/me/train.py:Mine", or the command with its folder."""
        if self.form == "command":
            return f"{self.command}  (in {self.folder})"
        return f"{Path(self.folder) / self.main}:{self.object}"

    def check_files(self, folder: Path) -> None:
        """Raises UserError where the files in `folder` are not those that the hash covers."""
        if digests(folder, self.files) != dict(self.files):
            raise UserError(f"the files of recipe {self.name} in {folder} were changed; add the recipe again")


def at(name: str, recipe_hash: str) -> OwnRecipe:
    """The version of recipe `name` with that hash. Raises UserError where this machine does not have it."""
    remedy = f"add the recipe {name} again with: python -m attribution recipe add FILE:CLASS"
    try:
        return from_json(read_json(recipes_folder() / recipe_hash / "recipe.json", remedy), name)
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"this machine has no version {recipe_hash} of recipe {name}; {remedy}") from None


def versions(name: str) -> list[OwnRecipe]:
    """All versions of recipe `name` that were used, the newest first."""
    found = []
    for file in recipes_folder().glob("*/recipe.json"):
        recipe = from_json(read_json(file), None)
        found += [recipe] if recipe.name == name else []
    return sorted(found, key=lambda recipe: -recipe.created)


def pack(name: str, recipe_hash: str) -> dict:
    """A version of a recipe with its files, to be unpacked on another machine. Raises UserError as `at` does, and for a
    command: only this machine has what it runs."""
    recipe = at(name, recipe_hash)
    if recipe.form == "command":
        raise UserError(
            f"recipe {name} is a command of this machine; run it here, or take `retrain plan` to the cluster"
        )
    recipe.check_files(recipe.snapshot)
    return {
        "recipe": asdict(recipe),
        "contents": read_files(recipe.snapshot, recipe.files),
    }


def unpack(packed: dict) -> tuple[OwnRecipe, Path]:
    """The recipe that `pack` packed, and a new folder with its files."""
    folder = Path(tempfile.mkdtemp(prefix="lineup-recipe-"))
    for name, content in packed["contents"].items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return from_json(packed["recipe"], None), folder


def with_problem(recipe: OwnRecipe, problem: str) -> OwnRecipe:
    """The same recipe, which cannot train now."""
    return replace(recipe, problem=problem)


def from_json(content, name: str | None) -> OwnRecipe:
    """The recipe that `dataclasses.asdict` made `content` of. name: what it has to be called, None for any. Raises
    UserError where it is nothing of the kind."""
    known = {entry.name for entry in fields(OwnRecipe)}
    try:
        values = {key: content[key] for key in known & content.keys()}
        recipe = OwnRecipe(**values | {"optional": tuple(values["optional"])})
        if name not in (None, recipe.name):
            raise ValueError(f"it is {recipe.name}")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"the snapshot of recipe {name} cannot be read ({error}); add the recipe again") from None
    return recipe


def recipes_folder() -> Path:
    """Where the registry and the snapshots are."""
    return data_folder() / "recipes"
