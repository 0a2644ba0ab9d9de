"""Pairwise scores of the library kronfluence: a folder `scores_<name>` with `pairwise_scores.safetensors`, [n_query,
n_train] under `all_modules`, or under each module's name; or files of partitions, that are joined over the data and
added over the modules. `{train,query}_dataset_metadata.json` say which images were asked for.

What a positive score means depends on the measurement: helpful if it was a loss or minus the margin, else harmful.
"""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from attribution.errors import UserError
from attribution.importing.formats import DataSetSizes, Declaration, ForeignRanking
from attribution.importing.formats.arrays import (
    ConcatenatedArrays,
    SummedArrays,
    names_text,
    open_arrays,
    read_json,
    shape_text,
)
from attribution.importing.formats.dense import check_ids, declared_ids, load_dense

DESCRIPTION = "kronfluence: a folder scores_<name>, or the folder of several such, or its output_dir"
SCORES_FILE = "pairwise_scores.safetensors"
PARTITION = re.compile(r"pairwise_scores_data_partition(\d{1,6})_module_partition(\d{1,6})\.safetensors")
SIGN_NOTE = ", which depends on the measurement (helpful for a loss or minus the margin, harmful for the margin)"


def sniff(path: Path) -> bool:
    """See `Format.sniff`."""
    if path.is_dir():
        return path.name.startswith("scores_") and bool(_score_files(path)) or bool(_find_runs(path))
    return path.name == SCORES_FILE or bool(PARTITION.fullmatch(path.name))


def load(path: Path, declared: Declaration, sizes: DataSetSizes) -> ForeignRanking:
    """part: NAME of `scores_NAME` in a folder of several, a module, or NAME/MODULE; in an output_dir of several
    analyses ANALYSIS/NAME stands for NAME."""
    folder, part = path if path.is_dir() else path.absolute().parent, declared.part
    runs = {} if _score_files(folder) else _find_runs(folder)
    if runs:
        name = next((name for name in runs if f"{part}/".startswith(f"{name}/")), None)
        module = (part or "").removeprefix(name or "").removeprefix("/")
        if len(runs) == 1 and name is None:
            name = next(iter(runs))
        if name is None:
            raise UserError(f"{path} has several scores; say --part with one of {names_text(runs)}")
        folder, part = runs[name], module or None
    modules = _load_modules(folder, path)
    if part is not None and part not in modules:
        raise UserError(
            f"{folder} has no module {part!r}; leave --part out for all, or name one of {names_text(modules)}"
        )
    chosen = list(modules.values()) if part is None else [modules[part]]
    if {array.shape for array in chosen} != {chosen[0].shape}:
        raise UserError(f"the modules in {folder} have scores of different shapes; compute them again")
    targets = _asked_ids(folder, "query", "targets", declared, sizes.n_val)
    if targets is not None and not _is_of_all(folder, sizes.n_val):
        declared = replace(declared, targets=None)  # they are in `targets`
    return load_dense(
        "Kronfluence",
        folder,
        SummedArrays(chosen),
        declared,
        sizes,
        orientation="target-first",
        sign_depends=SIGN_NOTE,
        targets=targets,
        train=_asked_ids(folder, "train", "train", declared, sizes.n_train),
        provenance={"modules": part or ("added: " + names_text(modules) if len(modules) > 1 else next(iter(modules)))},
    )


def _score_files(folder: Path) -> list[Path]:
    return [
        file
        for file in sorted(folder.glob("pairwise_scores*.safetensors"))
        if file.name == SCORES_FILE or PARTITION.fullmatch(file.name)
    ]


def _find_runs(folder: Path) -> dict[str, Path]:
    """Name -> its folder: in the folder of an analysis, else in those of an output_dir."""
    runs = [run for run in sorted(folder.glob("scores_*")) if _score_files(run)]
    runs = runs or [run for run in sorted(folder.glob("*/scores_*")) if _score_files(run)]
    several = len({run.parent for run in runs}) > 1
    return {f"{run.parent.name}/" * several + run.name.removeprefix("scores_"): run for run in runs}


def _load_modules(folder: Path, path: Path) -> dict:
    """Module -> its scores, an array [n_query, n_train]; of all partitions where they are not put together."""
    if not path.is_dir() and path.name != SCORES_FILE and not PARTITION.fullmatch(path.name):
        raise UserError(f"{path} is no file of kronfluence's; give the folder scores_<name>")
    files = _score_files(folder)
    if not files:
        raise UserError(f"{folder} has no pairwise scores; give the folder scores_<name> that kronfluence wrote")
    if (folder / SCORES_FILE) in files:
        return _load_matrices(folder / SCORES_FILE)
    partitions = {tuple(map(int, PARTITION.fullmatch(file.name).groups())): file for file in files}
    arguments = read_json(folder / "score_arguments.json")
    counts = [arguments.get(f"{kind}_partitions") for kind in ("data", "module")]
    counts = [n if type(n) is int else 1 + max(key[axis] for key in partitions) for axis, n in enumerate(counts)]
    if counts[0] * counts[1] != len(partitions) or any(
        key[0] >= counts[0] or key[1] >= counts[1] for key in partitions
    ):
        raise UserError(
            f"{folder} has {len(partitions)} of {counts[0] * counts[1]} partitions; compute or copy the others"
        )
    opened = {key: _load_matrices(file) for key, file in partitions.items()}
    modules = {}
    for j in range(counts[1]):
        for name in opened[0, j]:
            parts = [opened[i, j].get(name) for i in range(counts[0])]
            if None in parts or len({part.shape[0] for part in parts}) > 1:
                raise UserError(f"the partitions in {folder} do not fit each other; compute them again")
            modules[f"{name} of partition {j}" if name in modules else name] = ConcatenatedArrays(parts, 1)
    return modules


def _load_matrices(file: Path) -> dict:
    arrays = open_arrays(file)
    for name, array in arrays.items():
        if len(array.shape) != 2:
            raise UserError(
                f"{name} in {file} is {shape_text(array.shape)}; compute scores that are not per token, one for each "
                "pair"
            )
    return arrays


def _is_of_all(folder: Path, n_val: int) -> bool:
    """Whether the scores are said to be of all validation images."""
    return read_json(folder / "query_dataset_metadata.json").get("dataset_size") == n_val


def _asked_ids(folder: Path, split: str, name: str, declared: Declaration, limit: int) -> np.ndarray | None:
    """The images that kronfluence was asked about, None where it does not say; its indices count in the data set that
    was declared, else in all."""
    images = declared_ids(declared, name, limit)
    file = folder / f"{split}_dataset_metadata.json"
    metadata = read_json(file)
    if name == "targets" and _is_of_all(folder, limit):
        images = None  # `load_dense` takes those that were declared
    n = limit if images is None else len(images)
    if metadata.get("dataset_size", n) != n:
        raise UserError(
            f"{file} says {metadata['dataset_size']!s:.20} images, and there are {n}; bring the scores of this "
            f"data set, or say with --{name} which images they are about"
        )
    indices = metadata.get("indices")
    if indices is None:
        return None
    if not isinstance(indices, list) or not indices or any(type(i) is not int or abs(i) >> 40 for i in indices):
        raise UserError(f"the indices in {file} are no list of whole numbers; compute the scores again")
    indices = check_ids(file, indices, n, 0, name)
    return indices if images is None else images[indices]
