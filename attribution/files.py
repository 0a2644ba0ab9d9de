"""Reading and writing the files of a workspace: nothing half-written, nothing that can execute code."""

import json
import os
from pathlib import Path

import numpy as np

from attribution.errors import UserError


def read_array(file: Path, length: int | None = None) -> np.ndarray:
    """The array in a `.npy` file, memory-mapped. Raises UserError if it is corrupt or has not `length` rows."""
    try:
        array = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{file} cannot be read as an array ({error}); copy the workspace again") from None
    if length is not None and (array.ndim == 0 or len(array) != length):
        raise UserError(f"{file} has shape {array.shape}, and {length} rows are expected; copy the workspace again")
    return array


def write_array(file: Path, array: np.ndarray) -> None:
    """Writes `array` as `.npy` under a temporary name and renames it, so that a killed writer leaves nothing."""
    _write(file, lambda stream: np.save(stream, array, allow_pickle=False))


def write_json(file: Path, data: dict) -> None:
    """Writes `data` as JSON under a temporary name and renames it."""
    _write(file, lambda stream: stream.write((json.dumps(data, indent=1) + "\n").encode()))


def write_table(file: Path, table) -> None:
    """Writes a DataFrame as Parquet under a temporary name and renames it."""
    _write(file, lambda stream: table.to_parquet(stream, index=False))


def _write(file: Path, write) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        with partial.open("wb") as stream:
            write(stream)
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
