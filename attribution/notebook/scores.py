"""Scores as a notebook has them, as rankings to import: arrays, what other libraries return, and their files.

an array or a tensor of any library       [n_val, n_train], or transposed where the shape says so: what quanda, dattri
                                          and captum return. What a positive score means is declared
a dict of such, a module each             kronfluence's pairwise scores: added, and declared as well
`indices` and `influence_scores`          captum's result of `influence(..., k=k)`, [n_val, k]: positive is helpful
a TRAKer of traker                        its save_dir is read, in which positive is helpful
the path of a file or a folder            whatever `import` reads; declared where the format does not say it
"""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from attribution.errors import UserError
from attribution.files import user_path
from attribution.importing import formats
from attribution.importing.formats import ORIENTATIONS, SIGNS, DataSetSizes, Declaration, ForeignRanking
from attribution.importing.formats.arrays import shape_text
from attribution.importing.formats.dense import check_ids, check_scores

BLOCK_BYTES = 64 << 20  # of scores that are hashed at a time
#: options of the command line, as they stand in the sentences of what both use -> as a function here takes them
OPTIONS = {
    r"--(sign|orientation) ([a-z-]+)": r'\1="\2"',
    r"--(force|skip-corrupt|follow-links)": r"\1=True",
    r" or leave that target out with --targets": "",
    r"--(root|side|val-share)": r"\1",
    r"(skip|follow)-(corrupt|links)=": r"\1_\2=",
    r"\bval-share\b": "val_share",
    r"\bPORT=": "port=",
}
ELSEWHERE = re.compile("--(part|targets|train|index-base)")  # of a file; only the command has them


@dataclass(frozen=True)
class NamedScores:
    """Scores under a name, checked against the sizes of a data set, and not yet imported. digest: of their values."""

    name: str
    ranking: ForeignRanking
    digest: str


def read_scores(given, sizes: DataSetSizes, sign=None, orientation=None) -> list[NamedScores]:
    """What `given` holds, a dict of name -> scores as above, or scores alone, which are then called "mine".

    sign: what a positive score means, "helpful", "harmful" or "unsigned"; orientation: "target-first" or "train-first",
    for square matrices. Each is for all scores, or a dict of name -> word. All values are read once. Raises UserError
    for what is no scores, of another shape, not finite, and where a sign or an orientation has to be said and is not.
    """
    if given is None:
        return []
    named = given if _is_named(given) else {"mine": given}
    for word, what in ((sign, "sign"), (orientation, "orientation")):
        if isinstance(word, Mapping) and (unknown := [name for name in word if name not in named]):
            raise UserError(f"{what} names {unknown[0]!r}, which is none of the scores {', '.join(map(str, named))}")
    read = []
    for name, scores in named.items():
        if not isinstance(name, str):
            raise UserError(f"scores are called by names, and {name!r} is none; call them as in {{'mine': scores}}")
        words = [word.get(name) if isinstance(word, Mapping) else word for word in (sign, orientation)]
        ranking = in_notebook_words(_read, name, scores, sizes, *words)
        read.append(NamedScores(name, ranking, in_notebook_words(_digest, ranking, sizes.n_train)))
    return read


def in_notebook_words(work, *arguments, **options):
    """What work(...) returns; a UserError of it names options as a notebook has them."""
    try:
        return work(*arguments, **options)
    except UserError as error:
        text = str(error)
        if "python -m attribution" not in text:
            for pattern, words in OPTIONS.items():
                text = re.sub(pattern, words, text)
            text += "; these options are of the command: python -m attribution import" if ELSEWHERE.search(text) else ""
        raise UserError(text) from None


def _is_named(given) -> bool:
    """Whether it is a dict of names, and not kronfluence's of the one module "all_modules"."""
    return isinstance(given, Mapping) and "all_modules" not in given


def _read(name: str, given, sizes: DataSetSizes, sign: str | None, orientation: str | None) -> ForeignRanking:
    for word, known in ((sign, SIGNS), (orientation, ORIENTATIONS)):
        if word is not None and word not in known:
            raise UserError(f"{word!r} is not known; say one of {', '.join(known)}")
    if type(given).__module__.partition(".")[0] == "trak" and hasattr(given, "save_dir"):
        given = Path(given.save_dir)
    if isinstance(given, (str, os.PathLike)):
        path = user_path(given)
        module = formats.get_format(formats.detect_format(path))
        return module.load(path, Declaration(orientation, sign), sizes)
    if hasattr(given, "indices") and hasattr(given, "influence_scores"):
        return _from_lists(name, given, sizes, sign or "helpful")
    return _from_matrix(name, _matrix(name, given), sizes, sign, orientation)


def _from_matrix(name: str, scores: np.ndarray, sizes: DataSetSizes, sign, orientation) -> ForeignRanking:
    expected = (sizes.n_val, sizes.n_train)
    if scores.shape not in (expected, expected[::-1]):
        raise UserError(
            f"{name} is {shape_text(scores.shape)}, and there are {sizes.n_val:,} validation and {sizes.n_train:,} "
            f"training images; give a score for each pair, {shape_text(expected)}"
        )
    if expected[0] == expected[1] and orientation is None:
        raise UserError(
            f"{name} is square, {shape_text(expected)}, so that its shape does not tell training images from "
            'validation images; say orientation="target-first" where a row is a validation image, else "train-first"'
        )
    fits = [word for word, shape in zip(ORIENTATIONS, (expected[::-1], expected)) if shape == scores.shape]
    if orientation not in (None, *fits):
        raise UserError(f'{name} is {shape_text(scores.shape)}, which is {fits[0]}; say orientation="{fits[0]}"')
    if sign is None:
        raise UserError(
            f'{name} does not say what a positive score means; add sign="helpful" where it raises the margin of the '
            'true class, sign="harmful" where it lowers it, or sign="unsigned" where the order alone counts'
        )
    orientation = orientation or fits[0]
    rows = scores.T if orientation == "train-first" else scores
    path, targets = Path(name), np.arange(sizes.n_val)

    def read_scores(start: int, stop: int) -> np.ndarray:
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused as that
            block = np.array(rows[start:stop], np.float32, order="C")
        check_scores(path, block, targets[start:stop])
        return np.negative(block, out=block) if sign == "harmful" else block

    said = {"sign": sign, "orientation": orientation, "shape": list(scores.shape), "dtype": str(scores.dtype)}
    return ForeignRanking("", sign != "unsigned", targets, read_scores=read_scores, provenance=said)


def _from_lists(name: str, given, sizes: DataSetSizes, sign: str) -> ForeignRanking:
    """Each target's first training images and their scores, [n_val, k] both, in any order."""
    ids, scores = _matrix(name, given.indices), _matrix(name, given.influence_scores)
    if ids.shape != scores.shape or len(ids) != sizes.n_val or not 1 <= ids.shape[1] <= sizes.n_train:
        raise UserError(
            f"{name} has {shape_text(ids.shape)} indices and {shape_text(scores.shape)} scores; give both for each of "
            f"{sizes.n_val:,} validation images"
        )
    if ids.dtype.kind not in "iu":
        raise UserError(f"the indices of {name} are {ids.dtype}; give whole numbers, from 0 to {sizes.n_train - 1}")
    if ids.min() < 0 or ids.max() >= sizes.n_train:
        raise UserError(
            f"the indices of {name} go from {ids.min()} to {ids.max()}; give whole numbers, from 0 to "
            f"{sizes.n_train - 1}"
        )

    def read_lists(start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        block = np.array(scores[start:stop], np.float32) * (-1 if sign == "harmful" else 1)
        check_scores(Path(name), block, np.arange(start, stop), constant=True)
        order = np.argsort(-block, axis=1, kind="stable")
        ranked = np.take_along_axis(ids[start:stop], order, 1)
        for target, row in enumerate(ranked, start):
            check_ids(name, row, sizes.n_train, 0, f"images of target {target}")
        return ranked.astype(np.int64), np.take_along_axis(block, order, 1)

    said = {"sign": sign, "shape": list(ids.shape), "library": "captum"}
    signed = sign != "unsigned"
    return ForeignRanking("", signed, np.arange(sizes.n_val), read_lists=read_lists, provenance=said)


def _matrix(name: str, given) -> np.ndarray:
    """A matrix of numbers [.., ..] of what any library has; of a dict the sum. Raises UserError where it is none."""
    if isinstance(given, Mapping):
        parts = [_matrix(name, part) for part in given.values()]
        if not parts or len({part.shape for part in parts}) > 1:
            raise UserError(f"the modules of {name} have scores of different shapes, or none; compute them again")
        return parts[0] if len(parts) == 1 else np.sum([np.asarray(part, np.float32) for part in parts], axis=0)
    if hasattr(given, "detach"):  # torch's, on any device; its library is not imported here
        given = given.detach()
        given = (given.to_dense() if "sparse" in str(given.layout) else given).cpu()
        given = (given.float() if "bfloat16" in str(given.dtype) else given).numpy()
    elif hasattr(given, "toarray"):  # scipy's sparse matrices
        given = given.toarray()
    try:
        matrix = np.asarray(given)
    except (TypeError, ValueError):  # rows of different lengths
        matrix = np.zeros(0, object)
    if matrix.dtype.kind not in "biuf" or matrix.ndim != 2:
        kind = type(given).__name__
        shape = f" of {shape_text(matrix.shape)}" if matrix.dtype.kind in "biuf" else ""
        raise UserError(f"{name} is {kind}{shape}, and no matrix of numbers; give one score for each pair of images")
    return matrix


def _digest(ranking: ForeignRanking, n_train: int) -> str:
    """Of all that is imported of a ranking, in hex."""
    digest = hashlib.sha256(repr((ranking.method, ranking.signed, ranking.zero_is_none)).encode())
    digest.update(np.asarray(ranking.targets, "<i8").tobytes())
    if ranking.train is not None:
        digest.update(np.asarray(ranking.train, "<i8").tobytes())
    read = ranking.read_scores or ranking.read_lists
    step = max(1, BLOCK_BYTES // (4 * n_train))
    for start in range(0, len(ranking.targets), step):
        block = read(start, min(start + step, len(ranking.targets)))
        for part in block if isinstance(block, tuple) else (block,):
            if part is not None:
                digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()
