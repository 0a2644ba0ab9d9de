"""Parts of a workspace: storing arrays and answers with their provenance, and telling whether they still hold."""

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from attribution.errors import UserError
from attribution.files import write_array, write_atomically, write_json
from attribution.rankings import unchanged_names
from attribution.store.results import ResultStore
from attribution.training import recipes
from attribution.workspace.workspace import Workspace

Progress = Callable[[str, int, int], None]


def check_library(library: str) -> None:
    """Raises UserError where `library`, of requirements-build.txt, is not installed: before hours of training."""
    if find_spec(library) is None:
        raise UserError(f"this needs {library}: pip install -r requirements-build.txt")


def ranking_origin(workspace: Workspace, seeds) -> dict:
    """What a ranking was made for: where it is judged under another recipe it wears a badge."""
    return {
        "recipe": workspace.recipe,
        "hash": recipes.get_recipe(workspace.recipe).hash,
        "data": workspace.fingerprint,
        "seeds": seeds if isinstance(seeds, str) else list(seeds),
    }


def save_part(workspace: Workspace, part: str, arrays: dict[str, np.ndarray], about: dict) -> dict:
    """Writes a part's arrays, `<name>.npy` each, where a user's parts go, and then its provenance."""
    workspace.drop_part(part)
    for name, array in arrays.items():
        write_array(workspace.user_folder / part / f"{name}.npy", array)
    workspace.add_part(part, about, [f"{part}/{name}.npy" for name in arrays])
    return about


def cached_npz(file: Path, compute: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays that `file` keeps, computed where it is not there yet; broken off, nothing is left of it."""
    if not file.exists():
        arrays = compute()
        write_atomically(file, lambda stream: np.savez(stream, **arrays))
    with np.load(file, allow_pickle=False) as kept:
        return dict(kept)


def scratch_folder(workspace: Workspace, part: str) -> Path:
    """Where unfinished work on a part is kept."""
    return ResultStore.folder_of(workspace) / part


def held_out_digest(workspace) -> str | None:
    """The digest of the held-out halves, to tell whether what was measured on them still holds."""
    return workspace.manifest["parts"]["lds"].get("digest")


def save_json_part(workspace, part: str, file: str, answer: dict, about: dict, record: Callable | None = None) -> None:
    """Keeps an answer as the JSON file of a part, where a user's parts go, or as record(part, file, answer, about)
    stores it; about: provenance."""
    if record:
        record(part, file, answer, about)
        return
    workspace.drop_part(part)
    write_json(workspace.user_folder / part / file, answer)
    workspace.add_part(part, about, [f"{part}/{file}"])


def load_json_part(workspace, part: str, file: str) -> dict | None:
    """What `save_json_part` kept; None where nothing was, or where the half-models ("halves" of its provenance, if it
    rests on any), the base models ("base") or a ranking ("of": name -> version) are others by now. Raises UserError
    where it cannot be read."""
    parts = workspace.manifest["parts"]
    about = parts.get(part)
    if about is None or "halves" in about and ("lds" not in parts or about["halves"] != held_out_digest(workspace)):
        return None
    if about["base"] != parts.get("base", {}).get("digest") or unchanged_names(workspace, about["of"]) != set(
        about["of"]
    ):
        return None
    path = workspace.folder(part) / file
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}); measure again with `evaluate {part}`") from None
