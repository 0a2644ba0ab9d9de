"""Imports rankings, features and half-models of other libraries into a workspace: checked, in blocks, all or none."""

import os
import re
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil
from numpy.lib.format import open_memmap

from attribution.data import image_folder
from attribution.errors import UserError
from attribution.files import user_path, write_array
from attribution.importing.alignment import compute_alignment, within_class
from attribution.importing.formats import DataSetSizes, ForeignRanking
from attribution.metrics.precision import precision_of
from attribution.rankings import live_names
from attribution.rankings.base import top_k
from attribution.rankings.similarity import METHODS
from attribution.rankings.stored import to_bytes

if TYPE_CHECKING:
    from attribution.workspace.workspace import Workspace

#: how many training images at each end are stored for a target
STORED_K = 1000
#: every score is stored of a matrix of at most this size, since LDS needs every score
MAX_DENSE_BYTES = 256 << 20
#: scores that are read at a time
MAX_BLOCK_BYTES = 128 << 20
NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")


def data_set_sizes(workspace: "Workspace", train: np.ndarray | None = None) -> DataSetSizes:
    """The sizes that a file has to fit to be imported into `workspace`; of the training images `train` alone (int64
    [m], in this order) where they are given."""
    labels = workspace.train_labels
    return DataSetSizes(labels if train is None else labels[train], workspace.val_labels)


def listed_files(workspace: "Workspace", path: Path) -> np.ndarray:
    """The training images that the text file `path` names, one a line, int64 [m]. Raises UserError as
    `image_folder.match` does, and where the workspace's images have no file names."""
    files = workspace.image_files("train")
    if files is None:
        raise UserError(
            f"the images of {workspace.name} have no file names; say with --train which training images the file is "
            "about"
        )
    return image_folder.match(files, user_path(path))


def renumbered(incoming: ForeignRanking, train: np.ndarray) -> ForeignRanking:
    """`incoming`, whose training image i is the workspace's `train[i]` (int64 [m]), with the workspace's numbers."""
    if incoming.read_lists is None:
        return replace(incoming, train=train if incoming.train is None else train[incoming.train])

    def read_lists(start: int, stop: int):
        ids, scores = incoming.read_lists(start, stop)
        return np.where(ids >= 0, train[ids], -1), scores

    return replace(incoming, read_lists=read_lists)


def import_ranking(
    workspace: "Workspace",
    incoming: ForeignRanking,
    name: str,
    *,
    provenance: dict | None = None,
    force: bool = False,
    dense: bool | None = None,
    compact: bool = False,
    k: int = STORED_K,
    progress: Callable | None = None,
) -> dict:
    """Writes a foreign ranking into the workspace as `name` and returns its provenance, `alignment` included.

    dense: keep every score (LDS needs that) rather than the first k at each end; None: where they are few enough.
    compact: of scores that are all there and finite, every one is kept as a byte, rounded to a 127th of its target's
    largest. provenance: what the caller adds to it. progress(text, done, total). A ranking of that name is replaced
    once the new one is whole and has passed; broken off before, nothing has changed.

    Raises UserError for a name that cannot be had, whatever the format refuses while it is read, and, without `force`,
    for a ranking that does not pass the alignment check; what only its second part is against stays, with a warning.
    """
    check_part_name(workspace, name)
    start = time.perf_counter()
    if dense is None:
        dense = (
            compact or incoming.read_scores is not None and 4 * workspace.n_val * workspace.n_train <= MAX_DENSE_BYTES
        )
    if dense and incoming.read_scores is None:
        raise UserError("this format has no more than each target's first images; import it without --dense")
    part = f"rankings/{name}"
    with staged_folder(workspace.new_folder(part)) as folder:
        if compact:
            write = _write_compact
        elif dense:
            write = _write_dense
        else:
            write = _write_both_ends if incoming.read_scores else _write_lists
        ends = write(folder, workspace, incoming, k, progress or (lambda *at: None))
        alignment = compute_alignment(
            ends[0], incoming.targets, workspace.train_labels, workspace.val_labels, ends[1] if len(ends) > 1 else None
        )
        if alignment.refusal and not force:
            raise UserError(
                f"{name} does not look like a ranking of {workspace.name}: {alignment.refusal}; mend the "
                "declaration and import it again, or keep it as it is with --force"
            )
        order = within_class(workspace, incoming.targets, _score_reader(folder, workspace.n_train))
        alignment = replace(alignment, within_class=order)
        files = [f"{part}/{file.name}" for file in sorted(folder.iterdir())]
        workspace.drop_part(part)  # killed from here on, an import loses what it replaces, and leaves nothing broken
    description = f"{name if incoming.method else 'imported'} · " + ("every score" if dense else f"first {k:,}")
    record = {
        "method": incoming.method or name,
        "signed": incoming.signed,
        "about": description,
        "zero_is_none": incoming.zero_is_none,
        **incoming.provenance,
        "alignment": alignment.to_json(),
        "seconds": round(time.perf_counter() - start, 1),
        **(provenance or {}),
    }
    workspace.add_part(part, record, files)
    return record


def import_features(
    workspace: "Workspace", train: np.ndarray, val: np.ndarray, name: str, provenance: dict | None = None
) -> dict:
    """Writes a feature set, float [n_train, d] and [n_val, d], into the workspace as `name`: as float32, or as float64
    where that would round away what tells images apart."""
    check_part_name(workspace, name, "features")
    part = f"features/{name}"
    precision = np.float32 if np.can_cast(train.dtype, np.float32) else precision_of(train)
    with staged_folder(workspace.new_folder(part)) as folder:
        for split, array in (("train", train), ("val", val)):
            stored = open_memmap(folder / f"{split}.npy", "w+", precision, array.shape)
            for at in range(0, len(array), 10_000):
                block = np.asarray(array[at : at + 10_000], precision)
                if not np.isfinite(block).all():
                    raise UserError(f"the {split} features hold values that are not finite; compute them again")
                stored[at : at + 10_000] = block
            stored.flush()
        workspace.drop_part(part)
    record = {"dim": int(train.shape[1]), **(provenance or {})}
    workspace.add_part(part, record, [f"{part}/train.npy", f"{part}/val.npy"])
    return record


def import_halves(
    workspace: "Workspace", masks: np.ndarray, margins: np.ndarray, provenance: dict | None = None
) -> dict:
    """Writes models on random subsets, masks bool [M, n_train] and margins float [M, n_val], into the workspace: what
    LDS is measured on. They should not be those that a ranking was fitted on."""
    workspace.check_can_add("lds")
    record = {
        "alpha": round(float(masks.mean()), 4),
        "masks": len(masks),
        "seeds": [0],
        "recipe": workspace.model,
        "hash": None,
        **(provenance or {}),
    }
    with staged_folder(workspace.new_folder("lds")) as folder:
        write_array(folder / "masks.npy", np.packbits(masks, axis=1))
        write_array(folder / "margins.npy", margins[:, None])  # as they came: LDS centres and ranks them
        workspace.drop_part("lds")
    workspace.add_part("lds", record, ["lds/masks.npy", "lds/margins.npy"])
    return record


def check_part_name(workspace: "Workspace", name: str, kind: str = "rankings") -> str:
    """`name` for a part of that kind, "rankings" or "features". Raises UserError where it is not one for files, or is
    taken by what cannot be replaced."""
    if not NAME_PATTERN.fullmatch(name):
        raise UserError(
            f"{name!r} cannot be a name; give at most 40 of a-z, 0-9, dot, dash and underscore, a letter or digit first"
        )
    workspace.check_can_add(f"{kind}/{name}")
    if kind == "rankings" and name in [*live_names(workspace), "random"]:
        raise UserError(f"{name} is the name of a ranking that is computed when asked; give another name")
    if kind == "features" and name == "pixels":
        raise UserError("pixels is the name of the images' own pixels; give another name")
    stored = [f"{method}-{name}" for method in METHODS if f"rankings/{method}-{name}" in workspace.manifest["parts"]]
    if kind == "features" and stored:
        raise UserError(
            f"{workspace.name} has a ranking {stored[0]}, which these features would hide; give another name"
        )
    return name


@contextmanager
def staged_folder(folder: Path):
    """A context manager: a new folder beside `folder`, which replaces it at the end. After an exception the new folder
    is removed and `folder` is as before. What a killed import left there is removed first."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        for entry in folder.parent.iterdir():
            match = re.fullmatch(rf"\.{re.escape(folder.name)}\.(\d+)\.part", entry.name)
            if match and not psutil.pid_exists(int(match[1])):
                shutil.rmtree(entry, ignore_errors=True)
        partial = folder.parent / f".{folder.name}.{os.getpid()}.part"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
    except OSError as error:
        raise UserError(
            f"{folder} cannot be written ({error.strerror}); choose another folder, or set "
            "LINEUP_DATA to one for what is added to the demo"
        ) from None
    try:
        yield partial
        shutil.rmtree(folder, ignore_errors=True)
        partial.replace(folder)
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror or error}); make room and try again") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def remove_staged(folder: Path, pid: int) -> None:
    """Removes what a killed process has left of a part in a workspace's `folder`."""
    for entry in (path for depth in ("", "*/", "*/*/") for path in folder.glob(f"{depth}.*.{pid}.part")):
        shutil.rmtree(entry, ignore_errors=True)


def _read_blocks(workspace, incoming: ForeignRanking, progress):
    """(targets, scores float [b, n_train] in the data set's order, NaN where not scored) by turns."""
    n, columns = workspace.n_train, incoming.train
    size = max(1, MAX_BLOCK_BYTES // (incoming.precision.itemsize * n))
    for at in range(0, len(incoming.targets), size):
        stop = min(at + size, len(incoming.targets))
        rows = incoming.read_scores(at, stop)
        if columns is not None:
            spread = np.full((len(rows), n), np.nan, rows.dtype)
            spread[:, columns] = rows
            rows = spread
        yield incoming.targets[at:stop], rows
        progress("reading", stop, len(incoming.targets))


def _write_dense(folder, workspace, incoming, k, progress) -> list[np.ndarray]:
    """Every score; returns the first training image of each end, for each target."""
    shape = (workspace.n_val, workspace.n_train)
    scores = open_memmap(folder / "scores.npy", "w+", incoming.precision, shape)
    if len(incoming.targets) < workspace.n_val:
        scores[:] = np.nan
        write_array(folder / "targets.npy", np.sort(incoming.targets))
    ends = []
    for targets, rows in _read_blocks(workspace, incoming, progress):
        scores[targets] = rows
        ends += [_first_images(row, incoming) for row in rows]
    scores.flush()
    return list(np.array(ends, np.int64).T[: 1 + incoming.signed])


def _first_images(row: np.ndarray, incoming: ForeignRanking) -> tuple[int, int]:
    """The first training image of the helpful and of the harmful end; -1 where there is none."""
    best = [int(np.nan_to_num(sign * row, nan=-np.inf).argmax()) for sign in (1, -1)]
    least = 0 if incoming.zero_is_none else -np.inf
    return tuple(at if sign * row[at] > least else -1 for at, sign in zip(best, (1, -1)))


def _write_compact(folder, workspace, incoming, k, progress) -> list[np.ndarray]:
    """Every score as a byte, see `to_bytes`; returns as `_write_dense`."""
    scores = open_memmap(folder / "scores.npy", "w+", np.int8, (workspace.n_val, workspace.n_train))
    scales, ends = np.ones(workspace.n_val, np.float32), []
    if len(incoming.targets) < workspace.n_val:
        write_array(folder / "targets.npy", np.sort(incoming.targets))
    for targets, rows in _read_blocks(workspace, incoming, progress):
        scores[targets], scales[targets] = to_bytes(rows)
        ends += [_first_images(row, incoming) for row in rows]
    scores.flush()
    write_array(folder / "scales.npy", scales)
    return list(np.array(ends, np.int64).T[: 1 + incoming.signed])


def _write_both_ends(folder, workspace, incoming, k, progress) -> list[np.ndarray]:
    """The first k at each end, of scores that are read by turns."""
    k = min(k, workspace.n_train)
    ids, values = _create_list_files(folder, workspace, incoming, k, scored=True)

    def rank(target, row):
        for end, sign in enumerate((1, -1)[: ids.shape[1]]):
            # zeros of a sparse regression have no place, and a weight of the other sign is not of this end
            known = np.flatnonzero(sign * row > 0 if incoming.zero_is_none else ~np.isnan(row))
            order = known[top_k(sign * row[known], k)] if len(known) else known
            ids[target, end, : len(order)] = order
            values[target, end, : len(order)] = row[order]

    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:  # numpy lets go of the lock while it partitions
        for targets, rows in _read_blocks(workspace, incoming, progress):
            list(pool.map(rank, targets, rows))
    return _finish_list_files(folder, ids, values, incoming)


def _write_lists(folder, workspace, incoming, k, progress) -> list[np.ndarray]:
    """The first k of lists that come ranked. Of signed ones what scores below zero is the harmful end, from the back,
    and no part of the helpful one: a list may leave out what is between its ends."""
    step = 1000
    total = len(incoming.targets)
    sample, scored = incoming.read_lists(0, 1)
    k = min(k, sample.shape[1])
    ids, values = _create_list_files(folder, workspace, incoming, k, scored is not None)
    for at in range(0, total, step):
        targets = incoming.targets[at : at + step]
        lists, scores = incoming.read_lists(at, min(at + step, total))
        for row, target in enumerate(targets):
            known = np.flatnonzero(lists[row] >= 0)
            ends = [known]
            if incoming.signed:
                below = scores[row, known] < 0
                ends = [known[~below], known[below][::-1]]
            for end, order in enumerate(ends):
                order = order[:k]
                ids[target, end, : len(order)] = lists[row, order]
                if scores is not None:
                    values[target, end, : len(order)] = scores[row, order]
        progress("reading", min(at + step, total), total)
    return _finish_list_files(folder, ids, values, incoming)


def _score_reader(folder: Path, n_train: int) -> Callable[[int], np.ndarray]:
    """The `score_row` that `within_class` reads of a written ranking: its scores or, of lists, minus the rank at the
    helpful end and the rank at the harmful one, so shifted that images in no list have 0."""
    if (folder / "scores.npy").exists():
        scores = np.load(folder / "scores.npy", mmap_mode="r")
        return lambda target: scores[target]
    ids = np.load(folder / "ids.npy", mmap_mode="r")

    def score_row(target: int) -> np.ndarray:
        scores = np.zeros(n_train, np.float32)
        for end, sign in zip(ids[target], (1, -1)):
            scores[end[end >= 0]] = sign * np.arange(len(end), 0, -1)[end >= 0]
        return scores

    return score_row


def _create_list_files(folder, workspace, incoming, k, scored):
    shape = (workspace.n_val, 1 + incoming.signed, k)
    ids = open_memmap(folder / "ids.npy", "w+", np.int32, shape)
    ids[:] = -1
    if not scored:
        return ids, None
    values = open_memmap(folder / "values.npy", "w+", incoming.precision, shape)
    return ids, values


def _finish_list_files(folder, ids, values, incoming) -> list[np.ndarray]:
    for array in (ids, values):
        if array is not None:
            array.flush()
    # `StoredRanking.targets` reads this instead of the first page of every list
    write_array(folder / "targets.npy", np.sort(incoming.targets[ids[incoming.targets, 0, 0] >= 0]))
    return [np.asarray(ids[incoming.targets, end, 0], np.int64) for end in range(ids.shape[1])]
