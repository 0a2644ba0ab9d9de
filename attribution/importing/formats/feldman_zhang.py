"""Influence estimates that Feldman and Zhang released (arXiv 2008.03703): `cifar100_infl_matrix.npz` has `tr_labels`
and `tt_labels` of the whole data set, and for each class c `infl_matrix_class<c>` [its training images, its test
images] with `tr_classidx_<c>` and mostly `tt_classidx_<c>`, the images' numbers. Positive is helpful.

Estimates are there within the class alone, so that a target's list has its own class and ends with it.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np

from attribution.data.foreign import open_zip
from attribution.errors import UserError
from attribution.importing.formats import DataSetSizes, Declaration, ForeignRanking
from attribution.importing.formats.arrays import float_type, npz_array
from attribution.importing.formats.dense import check_declared, check_scores, declared_ids

DESCRIPTION = "Feldman and Zhang's influence estimates: cifar100_infl_matrix.npz"


def sniff(path: Path) -> bool:
    """See `Format.sniff`."""
    return path.suffix == ".npz" and "infl_matrix" in path.name and path.is_file()


def load(path: Path, declared: Declaration, sizes: DataSetSizes) -> ForeignRanking:
    """See `Format.load`."""
    check_declared(declared)
    if any(value is not None for value in (declared.orientation, declared.train, declared.part)):
        raise UserError(
            "this file says itself which images it is about; leave all declarations but --sign and --targets out"
        )
    chosen = declared_ids(declared, "targets", sizes.n_val)
    for name, labels in (("tr_labels", sizes.train_labels), ("tt_labels", sizes.val_labels)):
        file_labels = npz_array(path, name, len(labels))
        if not np.array_equal(file_labels, labels):
            raise UserError(
                f"{name} in {path} differs from the data set's labels for {(file_labels != labels).sum()} of the "
                f"{len(labels)} images; import it into the data set that it was made for, in its order"
            )
    classes = np.unique(sizes.val_labels)
    train_ids, val_ids = [], []  # of each class
    for c in classes:
        train_ids.append(_class_members(path, f"tr_classidx_{c}", np.flatnonzero(sizes.train_labels == c)))
        val_ids.append(_class_members(path, f"tt_classidx_{c}", np.flatnonzero(sizes.val_labels == c)))
    columns = [np.arange(len(ids)) if chosen is None else np.flatnonzero(np.isin(ids, chosen)) for ids in val_ids]
    targets, width = np.concatenate([ids[at] for ids, at in zip(val_ids, columns)]), max(map(len, train_ids))
    starts = np.concatenate([[0], np.cumsum([len(at) for at in columns])])
    sign = -1 if declared.sign == "harmful" else 1

    @lru_cache(1)
    def matrix(i: int) -> np.ndarray:
        """Scores of the images of classes[i], float [test images, training images]."""
        name = f"infl_matrix_class{classes[i]}"
        array = npz_array(path, name, len(train_ids[i]), len(val_ids[i])).T
        return array.astype(float_type(array.dtype))

    def read_lists(start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        ids = np.full((stop - start, width), -1, np.int64)
        scores = np.zeros((stop - start, width))
        for i in range(len(classes)):
            first, end = max(start, starts[i]), min(stop, starts[i + 1])
            if first < end:
                block = matrix(i)[columns[i][first - starts[i] : end - starts[i]]]
                check_scores(path, block, targets[first:end])
                order = np.argsort(-sign * block, axis=1, kind="stable")
                ids[first - start : end - start, : order.shape[1]] = train_ids[i][order]
                scores[first - start : end - start, : order.shape[1]] = sign * np.take_along_axis(block, order, 1)
        return ids, scores

    return ForeignRanking(
        "Influence estimates",
        declared.sign != "unsigned",
        targets,
        read_lists=read_lists,
        precision=np.dtype(np.float64),
        provenance={
            "file": path.name,
            "classes": len(classes),
            "sign": declared.sign or "helpful",
            "training images a target": "those of its class",
        },
    )


def _class_members(path: Path, name: str, members: np.ndarray) -> np.ndarray:
    """The numbers of a class's images, in the file's order. members: the same, by the labels."""
    if name.startswith("tt_") and not _has_array(path, name):
        return members
    ids = npz_array(path, name, len(members))
    if ids.dtype.kind not in "iu" or not np.array_equal(np.sort(ids), members):
        raise UserError(f"{name} in {path} does not name the images of that class; take the file as it was released")
    return ids.astype(np.int64)


def _has_array(path: Path, name: str) -> bool:
    with open_zip(path) as archive:
        return f"{name}.npy" in archive.namelist()
