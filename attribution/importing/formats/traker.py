"""TRAK scores as the library `traker` leaves them in its save_dir (Park et al., arXiv 2303.14186).

traker >= 0.2: `scores/<experiment>.mmap`, a .npy by another name, beside `metadata.json` and `experiments.json`.
traker <= 0.1.3: `scores/scores_<experiment>.npy`. Both are [n_train, n_targets], float16; positive is helpful.

`scores_finalized` in experiments.json is 1 of finished scores, but traker 0.2 never wrote it: there only the scores
themselves tell, which are zeros until they are finished.
"""

import os
from pathlib import Path, PureWindowsPath

import numpy as np

from attribution.errors import UserError
from attribution.importing.formats import DataSetSizes, Declaration, ForeignRanking
from attribution.importing.formats.arrays import names_text, open_array, read_json, shape_text
from attribution.importing.formats.dense import load_dense

DESCRIPTION = "traker (TRAK): its save_dir, or one file of the folder scores in it"
OLD_PREFIX = "scores_"
NOT_SAID = "not said"
BLOCK = 4096  # rows


def sniff(path: Path) -> bool:
    """See `Format.sniff`."""
    if path.is_dir():
        return bool(_find_experiments(path)) or (path / "experiments.json").is_file()
    return path.suffix == ".mmap" or (path.suffix == ".npy" and path.stem.startswith(OLD_PREFIX))


def load(path: Path, declared: Declaration, sizes: DataSetSizes) -> ForeignRanking:
    """See `Format.load`."""
    part, folder, files = declared.part, path, {}
    if path.is_dir():
        files = _find_experiments(path)
    else:
        part = path.stem.removeprefix(OLD_PREFIX)
        files[part] = path
        folder = path.absolute().parent.parent if path.absolute().parent.name == "scores" else None
    described = _read_json(folder, "experiments.json")
    known = set(files) | set(described) if path.is_dir() else {part}
    if not known:
        raise UserError(f"{path} has no experiment with scores; finalise one first, or name another folder")
    if part is None and len(known) > 1:
        raise UserError(f"{path} has several experiments; say --part with one of {names_text(known)}")
    part = part if part is not None else next(iter(known))
    if part not in known:
        raise UserError(f"{path} has no experiment {part!r}; say --part with one of {names_text(known)}")
    finalised = _experiment_text(folder, part, described.get(part))
    if part not in files:
        raise UserError(f"{folder / 'scores'} has no file of the experiment {part!r}; copy it there")
    array = open_array(files[part])
    if finalised == NOT_SAID and not _has_scores(array):
        raise UserError(
            f"the experiment {part!r} in {folder or path.parent} is not finalised, so that its scores are zeros; call "
            "finalize_scores and import it then"
        )
    n_train = _read_json(folder, "metadata.json").get("train set size")
    if n_train is not None and array.shape[:1] != (n_train,):
        raise UserError(
            f"{files[part]} is {shape_text(array.shape)}, and metadata.json beside it says {n_train!s:.20} "
            "training images; copy the folder again"
        )
    return load_dense(
        "TRAK",
        files[part],
        array,
        declared,
        sizes,
        orientation="train-first",
        sign="helpful",
        provenance={"experiment": part, "finalised": finalised},
    )


def _find_experiments(folder: Path) -> dict[str, Path]:
    """Experiment -> its file in `folder`; what a link leads out of the folder is not there."""
    scores = folder / "scores"
    files = {file.stem: file for file in scores.glob("*.mmap")}
    files |= {file.stem.removeprefix(OLD_PREFIX): file for file in scores.glob(f"{OLD_PREFIX}*.npy")}
    inside = Path(os.path.realpath(folder))  # `resolve` raises for a link in a circle
    return {name: file for name, file in files.items() if Path(os.path.realpath(file)).is_relative_to(inside)}


def _experiment_text(folder: Path | None, part: str, description) -> str:
    """What experiments.json says of an experiment. The path in it is another machine's, and only looked at."""
    if description is None:
        return NOT_SAID
    # as Windows reads it: that takes "/" for "\\", too
    written = isinstance(description, dict) and PureWindowsPath(str(description.get("scores_path"))).parts[-2:]
    if written != ("scores", f"{part}.mmap"):
        raise UserError(
            f"{folder / 'experiments.json'} names another file than scores/{part}.mmap; copy the folder again"
        )
    return "yes" if description.get("scores_finalized") == 1 else NOT_SAID


def _has_scores(array) -> bool:
    """Whether any score differs from zero; read by blocks, the first of which says yes of finished scores."""
    starts = range(0, array.shape[0] if array.shape else 0, BLOCK)
    return any(np.any(array.bits[at : at + BLOCK]) for at in starts)


def _read_json(folder: Path | None, name: str) -> dict:
    return read_json(folder / name) if folder else {}
