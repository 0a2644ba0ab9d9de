"""Parts of a workspace: storing arrays and answers with their provenance, and telling whether they still hold."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from attribution.errors import UserError
from attribution.files import read_array, read_json, write_array, write_atomically, write_json, write_table
from attribution.rankings import unchanged_names
from attribution.store.results import ResultStore
from attribution.training.head.recipe import is_head
from attribution.workspace.workspace import Workspace

Progress = Callable[[str, int, int], None]


def ranking_origin(workspace: Workspace, seeds: Iterable[int] | str) -> dict:
    """What a ranking was made for: the recipe, its hash, the data and the seeds. Pages mark a ranking that is judged
    under another recipe."""
    return {
        "recipe": workspace.recipe,
        "hash": workspace.get_recipe().hash,
        "data": workspace.fingerprint,
        "seeds": seeds if isinstance(seeds, str) else list(seeds),
    }


def save_part(workspace: Workspace, part: str, arrays: dict[str, np.ndarray], provenance: dict) -> dict:
    """Writes a part's arrays, each as `<name>.npy`, where a user's parts go, then its provenance, which it returns."""
    workspace.drop_part(part)
    for name, array in arrays.items():
        write_array(workspace.new_folder(part) / f"{name}.npy", array)
    workspace.add_part(part, provenance, [f"{part}/{name}.npy" for name in arrays])
    return provenance


def write_file(file: Path, content) -> None:
    """Writes a part's file: a table where its name says Parquet, else JSON."""
    (write_table if file.suffix == ".parquet" else write_json)(file, content)


def cached_npz(file: Path, compute: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays in `file`, which are computed and written where it does not exist. If the computation is interrupted,
    no file is left."""
    if not file.exists():
        arrays = compute()
        write_atomically(file, lambda stream: np.savez(stream, **arrays))
    with np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)


def scratch_folder(workspace: Workspace, part: str) -> Path:
    """The folder for unfinished work on a part, beside the results."""
    return ResultStore.folder_of(workspace) / part


def base_digest(workspace: Workspace) -> str | None:
    """The digest of the base models, None where there are none."""
    return workspace.manifest["parts"].get("base", {}).get("digest")


def base_seeds(workspace: Workspace) -> list[int]:
    """The seeds of the base models. Raises UserError where the workspace does not say them."""
    if is_head(workspace.recipe):
        raise UserError(f"{workspace.recipe} has no networks that this could be computed with; choose another model")
    seeds = workspace.manifest["parts"].get("base", {}).get("seeds")
    if not isinstance(seeds, list):
        raise UserError(
            f"the base models of {workspace.name} do not say their seeds; train them again with: "
            f"python -m attribution base train{workspace.options()}"
        )
    return seeds


def held_out_digest(workspace: Workspace) -> str | None:
    """The digest of the held-out halves, None where there are none."""
    return workspace.manifest["parts"].get("lds", {}).get("digest")


def ranking_versions(workspace: Workspace, names: Iterable[str]) -> dict[str, str | None]:
    """ranking -> its version, to tell later whether what was computed with it still holds."""
    return {name: workspace.ranking(name).version for name in names}


@dataclass(frozen=True)
class Part:
    """What an evaluation stores as a part of the workspace: one file, or arrays of which each is `<name>.npy`.

    name      of the part: its folder, and its key in the manifest
    file      its file, JSON or a table (`.parquet`); "" where the part holds arrays
    versions  the key of its provenance that holds {ranking: version}, all of which have to be the same for it to hold
    command   the words of the command that makes it; "" for `evaluate <name>`

    Its provenance may also record what it was computed on: "base" and "halves", the digests of the base models and of
    the held-out halves.
    """

    name: str
    file: str = ""
    versions: str = "of"
    command: str = ""

    def exists(self, workspace: Workspace) -> bool:
        """Whether it is stored, even if what it was computed on has changed since."""
        return self.name in workspace.manifest["parts"]

    def provenance(self, workspace: Workspace) -> dict:
        """How it was made. Raises KeyError where it is not stored."""
        return workspace.manifest["parts"][self.name]

    def is_current(self, workspace: Workspace) -> bool:
        """Whether it is stored, and the halves, base models and rankings that its provenance names are the same."""
        if not self.exists(workspace):
            return False
        parts, made = workspace.manifest["parts"], self.provenance(workspace)
        if "halves" in made and ("lds" not in parts or made["halves"] != held_out_digest(workspace)):
            return False
        versions = made.get(self.versions, {})
        return made.get("base", base_digest(workspace)) == base_digest(workspace) and unchanged_names(
            workspace, versions
        ) == set(versions)

    def save(self, workspace: Workspace, content, provenance: dict, record: Callable | None = None) -> None:
        """Stores `content`, JSON, a table or arrays by name, where a user's parts go; or by `record`, which is called
        with (part, file, content, provenance) for a file and (part, content, provenance) for arrays."""
        if record:
            record(self.name, *([self.file] if self.file else []), content, provenance)
        elif self.file:
            workspace.drop_part(self.name)
            write_file(workspace.new_folder(self.name) / self.file, content)
            workspace.add_part(self.name, provenance, [f"{self.name}/{self.file}"])
        else:
            save_part(workspace, self.name, content, provenance)

    def load(self, workspace: Workspace) -> dict | None:
        """The JSON that `save` wrote; None where nothing is stored or it is no longer current. Raises UserError where
        it cannot be read."""
        return self.read_json(workspace) if self.is_current(workspace) else None

    def save_answer(self, workspace: Workspace, answer: dict, provenance: dict, record: Callable | None = None) -> None:
        """`save` of an answer about rankings under one model: {"recipe", "recipe_hash", "rankings": {NAME: ...}}."""
        of = {self.versions: ranking_versions(workspace, answer["rankings"])}
        made = {"recipe": answer["recipe"], "hash": answer["recipe_hash"], **of}
        self.save(workspace, answer, {**made, **provenance}, record)

    def load_answer(self, workspace: Workspace) -> dict | None:
        """What `save_answer` stored; None where nothing is stored, or the model or a ranking is another one now. Raises
        UserError where it cannot be read."""
        answer = self.load(workspace)
        return answer if answer and answer["recipe_hash"] == workspace.get_recipe().hash else None

    def read_json(self, workspace: Workspace) -> dict:
        """The JSON that is stored, current or not. Raises UserError where it cannot be read."""
        path = workspace.folder(self.name) / self.file
        try:
            return read_json(path)
        except (OSError, UserError) as error:
            raise self.unreadable(workspace, error) from None

    def unreadable(self, workspace: Workspace, error: Exception) -> UserError:
        """The error to raise where the JSON file cannot be read: it names the command that makes it anew."""
        return UserError(
            f"{workspace.folder(self.name) / self.file} cannot be read ({error}); measure again with: "
            f"python -m attribution {self.command or f'evaluate {self.name}'}{workspace.options()}"
        )

    def read_arrays(self, workspace: Workspace, shapes: dict[str, tuple[int | None, ...]]) -> dict[str, np.ndarray]:
        """The stored arrays with these names, in memory. shapes: as `read_array` checks them, () for any. Raises
        UserError where one cannot be read or has another shape."""
        folder = workspace.folder(self.name)
        return {name: np.asarray(read_array(folder / f"{name}.npy", *shape)) for name, shape in shapes.items()}
