"""Reading and writing files: nothing half-written, nothing that can execute code; and where results are kept."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import platformdirs

from attribution.errors import UserError

ROOT = Path(__file__).resolve().parent.parent  # of the checkout: where `python -m attribution` finds this library


def data_folder() -> Path:
    """Where results are kept: the environment variable LINEUP_DATA, or ~/.local/share/lineup.

    On macOS and Windows, where the latter is not there, it is the system's usual place.
    """
    if given := os.environ.get("LINEUP_DATA"):
        return Path(given).expanduser()
    folder = Path.home() / ".local" / "share" / "lineup"
    if sys.platform == "linux" or folder.exists():
        return folder
    return platformdirs.user_data_path("lineup", appauthor=False)


def user_path(text: str | Path) -> Path:
    """The path a person gave, "~" expanded. Raises UserError where it cannot be a path, or may not be looked at."""
    try:
        path = Path(text).expanduser()
        path.exists()  # raises for what is too long, or in a folder that may not be entered
        return path
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error).rstrip(".")
        raise UserError(f"{text} cannot be looked at ({reason}); check the path") from None


def read_array(file: Path, *shape: int | None) -> np.ndarray:
    """The array in a `.npy` file, memory-mapped.

    shape: the lengths it should have, None where any will do; none at all for an array of any shape. More axes may
    follow. Raises UserError if the file is missing or corrupt, or has another shape.
    """
    try:
        array = np.load(file, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
            raise ValueError("no array of numbers")
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{file} cannot be read as an array ({why}); copy the workspace again") from None
    if array.ndim < len(shape) or any(expected not in (None, n) for expected, n in zip(shape, array.shape)):
        expected = " x ".join("any" if n is None else str(n) for n in shape)
        raise UserError(f"{file} has shape {array.shape}, and {expected} is expected; copy the workspace again")
    return array


def read_table(file: Path, *columns: str):
    """The DataFrame in a Parquet file. Raises UserError if it is missing or corrupt, or lacks one of `columns`."""
    import pandas as pd  # half a second that the command line's --help need not wait for

    try:
        table = pd.read_parquet(file)
        absent = [name for name in columns if name not in table]
        if absent:
            raise ValueError(f"no column {absent[0]}")
    except (OSError, ValueError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{file} cannot be read as a table ({why}); copy the workspace again") from None
    return table


def write_array(file: Path, array: np.ndarray) -> None:
    """Writes `array` as `.npy`, as `write_atomically` does."""
    write_atomically(file, lambda stream: np.save(stream, array, allow_pickle=False))


def write_json(file: Path, data: dict) -> None:
    """Writes `data` as JSON, as `write_atomically` does."""
    write_atomically(file, lambda stream: stream.write((json.dumps(data, indent=1) + "\n").encode()))


def write_table(file: Path, table) -> None:
    """Writes a DataFrame as Parquet, as `write_atomically` does."""
    write_atomically(file, lambda stream: table.to_parquet(stream, index=False))


def write_atomically(file: Path, write) -> None:
    """Has write(stream) write a file under a temporary name and renames it, so that a killed writer leaves nothing."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        with partial.open("wb") as stream:
            write(stream)
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
