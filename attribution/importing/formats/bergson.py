"""Scores as the library `bergson` leaves them: a folder with `info.json` and `scores.bin`, a row a training item and in
it, for each query, the score and whether it was written. `candidates.npy` lists the training items of the rows where
these are not all. Positive is helpful, unless `config.yaml` beside them says `higher_is_better: false`.
"""

import re
from pathlib import Path

import numpy as np

from attribution.data.foreign import check_file
from attribution.errors import UserError
from attribution.files import read_bytes
from attribution.importing.formats import DataSetSizes, Declaration, ForeignRanking
from attribution.importing.formats.arrays import FileArray, open_array, read_json
from attribution.importing.formats.dense import check_ids, load_dense

DESCRIPTION = "bergson: a folder of scores, with info.json and scores.bin"
SCORES_FILE = "scores.bin"
KINDS = {"float16": "<f2", "float32": "<f4", "float64": "<f8", "bfloat16": "<u2"}
BLOCK = 4096  # rows
MAX_CONFIG = 1 << 20  # bytes


def sniff(path: Path) -> bool:
    """See `Format.sniff`."""
    folder = path if path.is_dir() else path.parent
    return path in (folder, folder / SCORES_FILE) and all(
        (folder / name).is_file() for name in (SCORES_FILE, "info.json")
    )


def load(path: Path, declared: Declaration, sizes: DataSetSizes) -> ForeignRanking:
    """See `Format.load`."""
    folder = path if path.is_dir() else path.absolute().parent
    if not sniff(path):
        raise UserError(f"{path} has no scores of bergson's; give the folder that has {SCORES_FILE} and info.json")
    file = folder / SCORES_FILE
    array, written = _open_scores(folder)
    for at in range(0, len(written), BLOCK):
        if not written[at : at + BLOCK].all():
            raise UserError(f"the scores in {folder} are not complete; let bergson finish them and import them then")
    train = None
    if (folder / "candidates.npy").exists():
        candidates = open_array(folder / "candidates.npy").bits
        if candidates.ndim != 1 or candidates.dtype.kind not in "iu" or len(candidates) != array.shape[0]:
            raise UserError(f"candidates.npy in {folder} does not name an image for each row; copy the folder again")
        train = check_ids(folder / "candidates.npy", candidates, sizes.n_train, 0, "training images")
    return load_dense(
        "Bergson",
        file,
        array,
        declared,
        sizes,
        orientation="train-first",
        sign=_sign(folder),
        sign_depends=", and config.yaml beside it says both true and false of higher_is_better",
        train=train,
        provenance={"folder": folder.name},
    )


def _open_scores(folder: Path) -> tuple[FileArray, np.ndarray]:
    """The scores [rows, queries] of a folder, and which of them were written, bool of that shape; nothing is read yet.
    Raises UserError where info.json does not describe scores.bin."""
    file, info = folder / SCORES_FILE, read_json(folder / "info.json")
    if info.get("attribute_tokens"):
        raise UserError(f"{folder} has scores of tokens; have bergson score whole items, one for each pair")
    damaged = UserError(f"info.json in {folder} does not describe {SCORES_FILE}; copy the folder again")
    kind, count = info.get("dtype"), info.get("num_scores")
    rows = info.get("num_rows", info.get("num_items"))
    if not isinstance(kind, dict) or type(count) is not int or type(rows) is not int or min(count, rows) < 1:
        raise damaged
    names, formats, offsets, width = (kind.get(key) for key in ("names", "formats", "offsets", "itemsize"))
    lists = all(isinstance(part, list) and len(part) == 2 * count for part in (names, formats, offsets))
    if not lists or names != [f"{what}_{i}" for i in range(count) for what in ("score", "written")]:
        raise damaged
    number = formats[0] if formats[0] in KINDS else None
    if number is None or formats != [number, "bool"] * count or any(type(n) is not int for n in (*offsets, width)):
        raise damaged
    size = np.dtype(KINDS[number]).itemsize
    step = offsets[2] if count > 1 else size + 1
    regular = offsets == [i * step + more for i in range(count) for more in (0, size)] and step > size
    if not regular or offsets[-1] >= width or rows * width != check_file(file):
        raise damaged
    content = np.memmap(file, np.uint8, "r")
    scores, written = (
        np.ndarray((rows, count), dtype, content, offset, (width, step))
        for dtype, offset in ((KINDS[number], 0), (np.uint8, size))
    )
    return FileArray(file, scores, number == "bfloat16"), written


def _sign(folder: Path) -> str | None:
    """What a positive score means by config.yaml: helpful if that says nothing, None if it says both."""
    try:
        text = read_bytes(folder / "config.yaml", MAX_CONFIG).decode("utf-8", "replace")
    except FileNotFoundError:
        return "helpful"
    said = set(re.findall(r"^\W*higher_is_better:[ \t]*(true|false)\b", text, re.MULTILINE | re.IGNORECASE))
    said = {word.lower() for word in said}
    return None if len(said) == 2 else "harmful" if said == {"false"} else "helpful"
