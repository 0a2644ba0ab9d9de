"""The folder that a user's recipe works in: one a guard, removed when that ends, and after one that was killed.

The name says which process it belongs to, and that process holds a lock on it: so whoever comes next can tell what is
left over, in another container with the same folder for temporary files, too.
"""

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import psutil

PREFIX = "lineup-recipe-"


class WorkFolder:
    """A new folder of this process. Those of processes that have ended are removed first."""

    def __init__(self):
        remove_left()
        self.path = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
        self.lock = os.open(self.path, os.O_RDONLY)  # held until the process ends, however that ends
        fcntl.flock(self.lock, fcntl.LOCK_EX)

    def remove(self) -> None:
        """Removes the folder with all that is in it; what links in it point at stays."""
        shutil.rmtree(self.path, ignore_errors=True)


def remove_left() -> None:
    """Removes the folders of processes that have ended."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*"):
        number = folder.name.removeprefix(PREFIX).partition("-")[0]
        if number.isdecimal() and len(number) < 10 and not psutil.pid_exists(int(number)):
            _remove(folder)


def _remove(folder: Path) -> None:
    with suppress(OSError):  # another user's, or one that is held
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)
