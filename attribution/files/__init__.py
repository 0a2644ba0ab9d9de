"""Reading and writing files: nothing half-written, nothing that can execute code; and where results are kept."""

import fcntl
import json
import os
import secrets
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import platformdirs

from attribution.errors import UserError
from attribution.files.arrays import read_array as read_array
from attribution.files.places import APP as APP
from attribution.files.places import ROOT as ROOT
from attribution.files.places import python_path as python_path

MAX_JSON = 64 * 2**20  # bytes


def data_folder() -> Path:
    """Where results are kept: the environment variable LINEUP_DATA, or ~/.local/share/lineup.

    On macOS and Windows, where the latter is not there, it is the system's usual place. Raises UserError where the
    variable is not set and the user has no home, as in some containers.
    """
    try:
        if given := os.environ.get("LINEUP_DATA"):
            return Path(given).expanduser()
        folder = Path.home() / ".local" / "share" / "lineup"
    except RuntimeError:
        raise UserError("this user has no home folder; set LINEUP_DATA to a folder for results") from None
    if sys.platform == "linux" or folder.exists():
        return folder
    return platformdirs.user_data_path("lineup", appauthor=False)


def is_shared(folder: Path) -> bool:
    """Whether the data folder was opened to others on purpose: named by LINEUP_DATA, there already, and its group or
    everyone may write to it."""
    if not os.environ.get("LINEUP_DATA"):
        return False
    try:
        return bool(folder.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH))
    except OSError:
        return False


def file_mode(file: Path) -> int:
    """What a new file may be used for, less what the umask takes: in the data folder, unless that is shared, by its
    owner alone; elsewhere by all."""
    return 0o600 if _is_private(file) else 0o666


def open_private(file: Path, mode: str):
    """Opens a text file; one that is new has the permissions of `file_mode`."""
    return open(file, mode, opener=lambda path, flags: os.open(path, flags, file_mode(file)))


def make_folder(folder: Path) -> None:
    """Makes a folder with those above it. In the data folder, unless that is shared, they are their owner's alone."""
    if folder.is_dir():
        return
    if folder.parent != folder:
        make_folder(folder.parent)
    folder.mkdir(0o700 if _is_private(folder) else 0o777, exist_ok=True)


def keep_private(folder: Path) -> None:
    """Takes what others may do away from a folder below the data folder and from its files, unless that is shared:
    older versions of Lineup left them readable."""
    if not _is_private(folder) or folder.stat().st_mode & 0o077 == 0:
        return
    with suppress(OSError):  # somebody else's
        for path in (folder, *folder.iterdir()):
            path.chmod(path.stat().st_mode & ~0o077)


def _is_private(path: Path) -> bool:
    try:
        data = data_folder()
    except UserError:  # there is none, and so nothing is in it
        return False
    data, path = (Path(os.path.realpath(one)) for one in (data, path))
    return (path == data or data in path.parents) and not is_shared(data)


def user_path(text: str | Path) -> Path:
    """The path a person gave, "~" expanded. Raises UserError where it cannot be a path, or may not be looked at."""
    try:
        path = Path(text).expanduser()
        path.exists()  # raises for what is too long, or in a folder that may not be entered
        return path
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error).rstrip(".")
        raise UserError(f"{text} cannot be looked at ({reason}); check the path") from None


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


def read_bytes(file: Path, at_most: int = MAX_JSON) -> bytes:
    """What a regular file of at most so many bytes holds. Raises FileNotFoundError where there is none, and UserError
    for a larger one and for what is no file (a pipe would be waited for, and a device never ends)."""
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read ({getattr(error, 'strerror', error)}); check its permissions") from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise UserError(f"{file} is not a regular file; put the file itself there")
    with open(handle, "rb") as stream:
        content = stream.read(at_most + 1)
    if len(content) > at_most:
        raise UserError(
            f"{file} has more than the {at_most // 2**20} MiB that such a file may have; is it the right one?"
        )
    return content


def read_json(file: Path, remedy: str = "put back the file as it was written"):
    """What a JSON file holds. Raises as `read_bytes`, and UserError, which ends in `remedy`, where it is no JSON."""
    try:
        return json.loads(read_bytes(file).decode())
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file} cannot be read as JSON ({error}); {remedy}") from None


def change_json(file: Path, change: Callable[[dict], dict]) -> dict:
    """Writes change(what `file` holds, {} where it is not there) in its place, and returns it.

    One process and thread at a time: all who change files of that folder so wait for each other. Raises as `read_json`.
    """
    with locked(file.parent):
        try:
            content = read_json(file)
        except FileNotFoundError:
            content = {}
        content = change(content)
        write_json(file, content)
    return content


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds the lock on `folder`, which is made where it is not there; waits for others that hold it.

    It is on the folder itself: a lock file could be deleted and made anew, and then two would hold it. A store's folder
    is its runner's lock: what lies in it is locked by a folder of its own.
    """
    make_folder(folder)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def write_array(file: Path, array: np.ndarray) -> None:
    """Writes `array` as `.npy`, as `write_atomically` does."""
    write_atomically(file, lambda stream: np.save(stream, array, allow_pickle=False))


def write_json(file: Path, data: dict) -> None:
    """Writes `data` as JSON, as `write_atomically` does. Where others change it too, `change_json` loses nothing."""
    write_atomically(file, lambda stream: stream.write((json.dumps(data, indent=1) + "\n").encode()))


def write_table(file: Path, table) -> None:
    """Writes a DataFrame as Parquet, as `write_atomically` does."""
    write_atomically(
        file, lambda stream: table.to_parquet(stream, index=False, compression="zstd", compression_level=9)
    )


def write_atomically(file: Path, write) -> None:
    """Has write(stream) write a file under a temporary name of its own, sees that it is on the disk, and renames it: a
    killed writer leaves the old file, and so does a machine that loses its power."""
    make_folder(file.parent)
    partial = file.with_name(f".{file.name[:100]}.{secrets.token_hex(6)}.part")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, file_mode(file))
    try:
        with open(handle, "wb") as stream:
            write(stream)
            stream.flush()
            os.fsync(handle)
        os.replace(partial, file)
        sync_folder(file.parent)
    finally:
        partial.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Sees that the names in `folder` are on the disk, where its file system can say so."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
